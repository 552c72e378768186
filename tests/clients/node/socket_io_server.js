// A Socket.IO server as Dify's collaboration mode has one, on a port of its own, which it prints.
const { createServer } = require("node:http");
const { Server } = require("socket.io");

const http = createServer();
const io = new Server(http, { maxHttpBufferSize: 4 * 1024 * 1024 });

io.on("connection", (socket) => {
  socket.on("echo", (payload, answer) => answer(payload));
  socket.on("later", (milliseconds) => setTimeout(() => socket.emit("now", milliseconds), milliseconds));
  socket.on("seen", (answer) => answer({ headers: socket.request.headers, sockets: io.engine.clientsCount }));
  socket.on("die", () => process.exit(0));
});

http.listen(0, "127.0.0.1", () => console.log(http.address().port));
