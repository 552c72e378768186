#!/usr/bin/env python3
"""How long an edit of gateway.yaml takes to serve, under load: 20 edits, 200 requests a second, 50 open streams.

    bench/reload.py [--edits 20] [--spillway PATH]

Each version leads to another of two upstreams, and the time is from the file's renaming to the first answer of the new
one. Nothing may fail, and no stream may be cut. Everything listens on loopback and is ended here.
"""

import argparse
import http.client
import http.server
import json
import os
import re
import sys
import tempfile
import threading
import time
from pathlib import Path
from statistics import median

from side_by_side import add_spillway_option, built_beside, free_port, ROOT, wait_for

import subprocess

RATE = 200
CLIENTS = 4
STREAMS = 50


class Upstream(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, name: str, end: threading.Event):
        self.name, self.end = name, end
        super().__init__(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.serve_forever, daemon=True).start()


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def log_message(self, *_):
        pass

    def do_GET(self):
        if self.path.endswith("/stream"):
            self.send_response(200)
            self.send_header("content-type", "text/event-stream")
            self.send_header("transfer-encoding", "chunked")
            self.end_headers()
            while not self.server.end.wait(0.2):
                self.chunk(b"data: more\n\n")
            self.chunk(b"data: end\n\n")
            self.chunk(b"")
            return
        body = self.server.name.encode()
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def chunk(self, data: bytes):
        self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))
        self.wfile.flush()


def ask(port: int, stop: threading.Event, failures: list, count: list):
    connection = http.client.HTTPConnection("127.0.0.1", port)
    while not stop.is_set():
        try:
            connection.request("GET", "/x")
            answer = connection.getresponse()
            answer.read()
            if answer.status != 200:
                failures.append(answer.status)
        except OSError as error:
            failures.append(repr(error))
            connection.close()
        count.append(1)
        time.sleep(CLIENTS / RATE)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--edits", type=int, default=20)
    add_spillway_option(parser)
    arguments = parser.parse_args()
    end, stop = threading.Event(), threading.Event()
    upstreams = [Upstream(name, end) for name in ("one", "two")]

    with tempfile.TemporaryDirectory() as name:
        folder, port = Path(name), free_port()

        def edit(number: int) -> None:
            address = f"http://127.0.0.1:{upstreams[number % 2].server_address[1]}"
            text = json.dumps({"agents": [{"name": "a", "protocol": "http", "url": address}]})
            (folder / "new").write_text(text)
            os.rename(folder / "new", folder / "gateway.yaml")

        edit(0)
        manifest = (ROOT / "spin.toml").read_text()
        manifest = manifest.replace('source = "target', f'source = "{built_beside(arguments.spillway)}')
        (folder / "spin.toml").write_text(manifest.replace('files = ["gateway.json"]\n', ""))
        log = (folder / "log").open("w")
        gateway = subprocess.Popen(
            [arguments.spillway, "up", "-f", str(folder / "spin.toml"), "--listen", f"127.0.0.1:{port}",
             "--quiet"], stdout=log, stderr=log, env=dict(os.environ, SPILLWAY_CACHE_DIR=str(folder / "compiled")))
        try:
            wait_for(port)
            streams = []
            for _ in range(STREAMS):
                connection = http.client.HTTPConnection("127.0.0.1", port)
                connection.request("GET", "/stream")
                streams.append(connection.getresponse())
            failures, count = [], []
            clients = [threading.Thread(target=ask, args=(port, stop, failures, count)) for _ in range(CLIENTS)]
            for client in clients:
                client.start()
            began, times = time.perf_counter(), []
            for number in range(1, arguments.edits + 1):
                edit(number)
                at = time.perf_counter()
                connection = http.client.HTTPConnection("127.0.0.1", port)
                while True:
                    connection.request("GET", "/x")
                    if connection.getresponse().read().decode() == upstreams[number % 2].name:
                        break
                    time.sleep(0.005)
                times.append(time.perf_counter() - at)
            rate = len(count) / (time.perf_counter() - began)
            stop.set()
            for client in clients:
                client.join()
            end.set()
            cut = sum(not stream.read().endswith(b"data: end\n\n") for stream in streams)
        finally:
            gateway.terminate()
            gateway.wait()
        reloads = len(re.findall("is in force", (folder / "log").read_text()))
        print(f"{arguments.edits} edits, {rate:.0f} requests/s, {STREAMS} streams: "
              f"{len(failures)} requests failed, {cut} streams cut, {reloads} versions came in force")
        print(f"from the edit to the first answer: median {median(times) * 1000:.0f} ms, longest {max(times) * 1000:.0f} ms")
        if failures or cut or max(times) > 1:
            sys.exit(f"not as it should be: {failures[:5]}")


if __name__ == "__main__":
    main()
