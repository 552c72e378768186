"""Asks a recorder with `ragflow-sdk` what each case asks; prints the requests as one line of JSON.

Usage: ragflow_recorder.py [--write | --engine URL] CASE.json..., where each case has a member `sdk`: the keyword
arguments of `RAGFlow.retrieve`. The result has, by file name, what was sent: path, authorization and body. With --write,
the body goes into the case's member `body` as well. With --engine, that RAGFlow is asked instead, and the result has, by
file name without its ending, the texts that were found.
"""

import argparse
import json
import os
import pathlib
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from ragflow_sdk import RAGFlow

KEY = "ragflow-secret"
NOTHING_FOUND = b'{"code": 0, "data": {"total": 0, "chunks": [], "doc_aggs": []}}'


class Recorder(BaseHTTPRequestHandler):
    """Answers every request that nothing was found, and keeps the last."""

    last = None

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        type(self).last = {"path": self.path, "authorization": self.headers["Authorization"],
                           "body": json.loads(body)}
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(NOTHING_FOUND)))
        self.end_headers()
        self.wfile.write(NOTHING_FOUND)

    def log_message(self, *_):
        pass


def read(file):
    return json.loads(file.read_text(encoding="utf-8"))


def search(url, files):
    """Asks an engine; gives the texts that it found."""
    engine = RAGFlow(KEY, url)
    return {file.stem: [chunk.content for chunk in engine.retrieve(**read(file)["sdk"])] for file in files}


def record(files, write):
    """Asks a recorder; gives what was sent."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Recorder)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    engine = RAGFlow(KEY, f"http://127.0.0.1:{server.server_port}")
    sent = {}
    for file in files:
        case = read(file)
        Recorder.last = None
        assert engine.retrieve(**case["sdk"]) == []
        sent[file.name] = Recorder.last
        if write:
            case["body"] = Recorder.last["body"]
            file.write_text(json.dumps(case, ensure_ascii=False, indent=2) + "\n", encoding="utf-8")
    server.shutdown()
    return sent


def main(arguments):
    # Else the SDK would ask the system's proxy for loopback.
    os.environ["NO_PROXY"] = "127.0.0.1"
    parser = argparse.ArgumentParser()
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--engine")
    parser.add_argument("files", nargs="+", type=pathlib.Path)
    options = parser.parse_args(arguments)
    if options.engine:
        result = search(options.engine, options.files)
    else:
        result = record(options.files, options.write)
    print(json.dumps(result))


if __name__ == "__main__":
    main(sys.argv[1:])
