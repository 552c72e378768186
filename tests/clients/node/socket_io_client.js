// A Socket.IO client: `node socket_io_client.js URL TRANSPORT SCENARIO`. Prints what it has met as one line of JSON, the
// last of its output.
//
// TRANSPORT: `polling`, `upgrade` (polling first, then a WebSocket) or `websocket`.
// SCENARIO: `talk` says everything once; `die` makes the server end; `stay` says `connected`, and stays until it is
// disconnected.
const { io } = require("socket.io-client");

const [url, transport, scenario] = process.argv.slice(2);
const transports = { polling: ["polling"], upgrade: ["polling", "websocket"], websocket: ["websocket"] }[transport];
const socket = io(url, { transports, reconnection: false, timeout: 60_000 });
const failed = new Promise((_, reject) => socket.on("connect_error", reject));

const met = (what) => new Promise((resolve) => socket.once(what, (...values) => resolve(values)));
const ask = (...question) => new Promise((resolve) => socket.emit(...question, resolve));

const upgraded = async () => {
  if (transport === "upgrade" && socket.io.engine.transport.name !== "websocket") {
    await new Promise((resolve) => socket.io.engine.once("upgrade", resolve));
  }
};

const scenarios = {
  async talk() {
    const binary = Buffer.alloc(1024 * 1024, "\u0000\u00ff7.");
    const text = await ask("echo", "wörter ".repeat(1000));
    const echoed = await ask("echo", { binary, beside: 1 });
    const now = met("now");
    socket.emit("later", 2000);
    const [later] = await now;
    const result = {
      transport: socket.io.engine.transport.name,
      text: text === "wörter ".repeat(1000),
      binary: Buffer.compare(Buffer.from(echoed.binary), binary) === 0 && echoed.beside === 1,
      later,
      ...(await ask("seen")),
    };
    socket.disconnect();
    return result;
  },
  async die() {
    const gone = met("disconnect");
    socket.emit("die");
    const [reason] = await gone;
    return { reason };
  },
  async stay() {
    const gone = met("disconnect");
    console.log("connected");
    const [reason, details] = await gone;
    return { reason, code: details?.context?.code ?? null };
  },
};

Promise.race([met("connect").then(upgraded).then(scenarios[scenario]), failed]).then(
  (result) => console.log(JSON.stringify(result)),
  (error) =>
    console.log(
      JSON.stringify({ error: error.message, description: String(error.description?.message ?? error.description) }),
    ),
).finally(() => socket.close());
