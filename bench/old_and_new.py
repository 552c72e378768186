#!/usr/bin/env python3
"""Two builds of Spillway in one run: CPU time a request, in turn, and the ratios of neighbouring passes.

    bench/old_and_new.py OLD NEW [--seconds 4] [--rounds 5]

OLD and NEW are folders with `spin.toml`, `target/release/spillway` and `target/wasm32-wasip2/wasm` as `./scripts/up`
leaves them: two checkouts, or copies of these files. Three kinds of requests: one of the agent API, a chat completion,
and a streamed one of 24 chunks that come at once. Needs nginx and wrk (Debian packages `nginx-light`, `wrk`). Everything
listens on loopback and is ended here. Quote the ratios, and their range: neighbours on the machine move the figures.
"""

import argparse
import json
import signal
import sys
import tempfile
from pathlib import Path
from statistics import median

from side_by_side import ANSWER, QUESTION, free_port, gateway, measure, nginx, wait_for

CHUNKS = 24
KINDS = {
    "ingress": ("/v1/info", None),
    "chat": ("/llm/v1/chat/completions", json.loads(QUESTION)),
    "stream": ("/llm/v1/chat/completions", json.loads(QUESTION) | {"model": "s", "stream": True}),
}


def event_stream() -> str:
    """Below 4 KiB, the longest that nginx takes in its configuration."""

    def chunk(delta: dict, finish: str | None) -> dict:
        return {"id": "1", "object": "chat.completion.chunk", "created": 1, "model": "m",
                "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]}

    chunks = [chunk({"content": f"word{number} "}, None) for number in range(CHUNKS)] + [chunk({}, "stop")]
    usage = {"prompt_tokens": 5, "completion_tokens": CHUNKS, "total_tokens": CHUNKS + 5}
    chunks.append(chunk({}, None) | {"choices": [], "usage": usage})
    return "".join(f"data: {json.dumps(chunk, separators=(',', ':'))}\n\n" for chunk in chunks) + "data: [DONE]\n\n"


def upstream(port: int) -> str:
    def always(path: str, kind: str, body: str) -> str:
        return f"location {path} {{ default_type {kind}; return 200 '{body}'; }}"

    return (f"server {{ listen 127.0.0.1:{port}; {always('/chat/', 'application/json', ANSWER)}"
            f"{always('/stream/', 'text/event-stream', event_stream())} {always('/', 'text/plain', 'hello')} }}")


def config(port: int) -> str:
    place = f"http://127.0.0.1:{port}"
    return json.dumps({
        "agents": [{"name": "dify", "services": {"api": place}}],
        "providers": [{"name": name, "base_url": f"{place}/{name}/v1", "api_keys": ["sk-upstream"]} for name in ("chat", "stream")],
        "models": [{"name": "llm", "routes": [
            {"name": "streams", "match": {"model": ["s"]}, "targets": [{"provider": "stream"}]},
            {"name": "others", "targets": [{"provider": "chat"}]}]}],
    })


def script(folder: Path, kind: str, body: dict | None) -> Path:
    path = folder / f"{kind}.lua"
    lines = [] if body is None else [
        'wrk.method = "POST"', f"wrk.body = {json.dumps(json.dumps(body))}", 'wrk.headers["Content-Type"] = "application/json"']
    path.write_text("\n".join(lines))
    return path


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("builds", nargs=2, metavar="FOLDER", type=Path, help="the old build, the new build")
    parser.add_argument("--seconds", type=int, default=4, help="length of one pass")
    parser.add_argument("--rounds", type=int, default=5, help="passes of each kind and build, in turn")
    options = parser.parse_args()
    binaries = [folder.resolve() / "target/release/spillway" for folder in options.builds]
    if missing := [str(binary) for binary in binaries if not binary.exists()]:
        sys.exit(f"{missing[0]} is not there: run ./scripts/up once in that folder")
    used = {kind: ([], []) for kind in KINDS}
    running = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        try:
            place = free_port()
            running.append(nginx(folder, "upstream", upstream(place)))
            wait_for(place)
            gateways = []
            for number, binary in enumerate(binaries):
                own = folder / str(number)
                own.mkdir()
                port = free_port()
                manifest = options.builds[number].resolve() / "spin.toml"
                gateways.append((gateway(own, str(binary), port, place, config(place), own_manifest=str(manifest)), port))
                running.append(gateways[-1][0])
                wait_for(port)
            for _ in range(options.rounds):
                for kind, (path, body) in KINDS.items():
                    for (process, port), figures in zip(gateways, used[kind]):
                        url = f"http://127.0.0.1:{port}{path}"
                        figures.append(measure(process.pid, url, script(folder, kind, body), options.seconds)["cpu"])
        finally:
            for process in reversed(running):
                process.send_signal(signal.SIGTERM)
            for process in running:
                process.wait(30)
    for kind, (old, new) in used.items():
        ratios = sorted(after / before for before, after in zip(old, new))
        print(f"{kind:8} old {median(old):7,.0f} µs, new {median(new):7,.0f} µs a request; "
              f"new/old {median(ratios):.2f} ({ratios[0]:.2f} to {ratios[-1]:.2f})")


if __name__ == "__main__":
    main()
