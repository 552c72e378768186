#!/usr/bin/env python3
"""Spillway beside nginx, in one run: requests/s, latency and CPU time a request at 16 keep-alive connections.

    bench/side_by_side.py [--seconds 5] [--rounds 3] [--spillway PATH] [--spin PATH_TO_SPIN]

Needs nginx and wrk (Debian packages `nginx-light`, `wrk`) and the built gateway (`./scripts/test` or `./scripts/up`
build it). Everything listens on loopback; every process is started and ended here. Absolute figures depend on the
machine and its neighbours: quote the ratios.
"""

import argparse
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
CLOCK_TICKS = os.sysconf("SC_CLK_TCK")
CONNECTIONS = 16

ANSWER = json.dumps({
    "id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": "m",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "Hello! How can I help you today?"},
                 "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 20, "completion_tokens": 9, "total_tokens": 29},
})
QUESTION = json.dumps({"model": "m", "messages": [{"role": "user", "content": "Say hello to a person who measures."}]})


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def cpu_seconds(pid: int) -> float:
    """User and system time of a process and all below it."""
    total = 0.0
    pids = [pid]
    while pids:
        current = pids.pop()
        try:
            fields = Path(f"/proc/{current}/stat").read_text().rsplit(")", 1)[1].split()
            for task in Path(f"/proc/{current}/task").iterdir():
                pids += [int(child) for child in (task / "children").read_text().split()]
        except (FileNotFoundError, ProcessLookupError):
            continue
        total += (int(fields[11]) + int(fields[12])) / CLOCK_TICKS
    return total


def wait_for(port: int) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            time.sleep(0.05)
    sys.exit(f"nothing listens on port {port} after 60 s")


def nginx(folder: Path, name: str, servers: str) -> subprocess.Popen:
    config = folder / f"{name}.conf"
    paths = "".join(f"{kind}_temp_path {folder}/{name}-{kind};" for kind in
                    ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
    config.write_text(
        f"worker_processes 1; daemon off; pid {folder}/{name}.pid; error_log {folder}/{name}.log;"
        "events { worker_connections 512; }"
        f"http {{ access_log off; keepalive_requests 1000000; {paths} {servers} }}")
    return subprocess.Popen(["nginx", "-c", str(config)], stderr=subprocess.DEVNULL)


def gateway_config(upstream: int) -> str:
    place = f"http://127.0.0.1:{upstream}"
    return json.dumps({
        "consumers": [{"name": "bench", "credentials": [{"api_key": "sk-bench"}]}],
        "agents": [{"name": "dify", "services": {"api": place, "web": place}}],
        "providers": [{"name": "fast", "base_url": place + "/v1", "api_keys": ["sk-upstream"]}],
        "models": [{"name": "llm", "policies": {"auth": ["bench"]}, "routes": [{"targets": [{"provider": "fast"}]}]}],
    })


def add_spillway_option(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--spillway", default=str(ROOT / "target/release/spillway"), metavar="PATH",
                        help="the embedded host; the components are those that were built beside it")


def built_beside(binary: str) -> Path:
    """The target folder that the components are in: the binary's own, where it lies in one."""
    own = Path(binary).resolve().parent.parent
    return own if (own / "wasm32-wasip2").exists() else ROOT / "target"


def gateway(folder: Path, binary: str, port: int, upstream: int, config: str | None = None, flags: tuple = (),
            own_manifest: str | None = None) -> subprocess.Popen:
    """`own_manifest`: a spin.toml whose components are where it says, seen from its folder."""
    manifest = Path(own_manifest or ROOT / "spin.toml").read_text()
    built = Path(own_manifest).resolve().parent / "target" if own_manifest else built_beside(binary)
    manifest = re.sub(r"allowed_outbound_hosts = .*", 'allowed_outbound_hosts = ["http://127.0.0.1:*", "redis://127.0.0.1:*"]', manifest)
    manifest = manifest.replace('source = "target', f'source = "{built}').replace('files = ["gateway.json"]\n', "")
    (folder / "spin.toml").write_text(manifest)
    environment = dict(os.environ, SPIN_VARIABLE_GATEWAY_CONFIG=config or gateway_config(upstream), RUST_BACKTRACE="0",
                       SPILLWAY_CACHE_DIR=str(folder / "compiled"))
    log = (folder / f"gateway-{port}.log").open("w")
    return subprocess.Popen(
        [binary, "up", "-f", str(folder / "spin.toml"), "--listen", f"127.0.0.1:{port}",
         "--state-dir", str(folder / f"state-{port}"), *flags],
        env=environment, stdout=log, stderr=log)


def measure(pid: int, url: str, script: Path, seconds: int) -> dict:
    before = cpu_seconds(pid)
    output = subprocess.run(
        ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{seconds}s", "--latency", "-s", str(script), url],
        capture_output=True, text=True, check=True).stdout
    used = cpu_seconds(pid) - before
    requests = int(re.search(r"(\d+) requests in", output).group(1))
    latency = {name: value for name, value in re.findall(r"(50|99)%\s+([\d.]+\w+)", output)}
    failed = re.search(r"Non-2xx or 3xx responses: (\d+)", output)
    if failed:
        sys.exit(f"{url}: {failed.group(1)} of {requests} requests were not answered with 2xx")
    return {"rate": requests / seconds, "cpu": used / requests * 1e6, "p50": latency["50"], "p99": latency["99"]}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=int, default=5, help="length of one pass")
    parser.add_argument("--rounds", type=int, default=3, help="passes of each kind, in turn")
    add_spillway_option(parser)
    parser.add_argument("--spin", help="a `spin` binary to be measured too")
    parser.add_argument("--without-embedded", action="store_true", help="leave the embedded host out")
    arguments = parser.parse_args()
    for tool in ("nginx", "wrk"):
        if not shutil.which(tool):
            sys.exit(f"`{tool}` is missing: apt-get install nginx-light wrk")
    host = Path(arguments.spillway)
    hosts = ([("embedded host", str(host))] if host.exists() and not arguments.without_embedded else []) + ([("spin", arguments.spin)] if arguments.spin else [])
    if not hosts:
        sys.exit("the gateway is not built: run ./scripts/up once")

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "get.lua").write_text('wrk.method = "GET"\nwrk.headers["Authorization"] = "Bearer app-x"\n')
        (folder / "chat.lua").write_text(
            'wrk.method = "POST"\nwrk.headers["Content-Type"] = "application/json"\n'
            f'wrk.headers["Authorization"] = "Bearer sk-bench"\nwrk.body = {json.dumps(QUESTION)}\n')
        upstream, proxy = free_port(), free_port()
        running = [
            nginx(folder, "upstream", f"server {{ listen 127.0.0.1:{upstream}; default_type application/json;"
                                      f" location / {{ return 200 '{ANSWER}'; }} }}"),
            nginx(folder, "proxy", f"upstream up {{ server 127.0.0.1:{upstream}; keepalive 64; keepalive_requests 1000000; }}"
                                   f"server {{ listen 127.0.0.1:{proxy}; location / {{ proxy_pass http://up;"
                                   " proxy_http_version 1.1; proxy_set_header Connection \"\"; proxy_buffering off; } }"),
        ]
        kinds = [("nginx proxy_pass, GET", running[1].pid, f"http://127.0.0.1:{proxy}/v1/parameters", "get.lua"),
                 ("nginx proxy_pass, POST", running[1].pid, f"http://127.0.0.1:{proxy}/v1/chat/completions", "chat.lua")]
        try:
            for label, binary in hosts:
                port = free_port()
                process = gateway(folder, binary, port, upstream)
                running.append(process)
                kinds += [(f"{label}: ingress, GET", process.pid, f"http://127.0.0.1:{port}/v1/parameters", "get.lua"),
                          (f"{label}: ingress, POST", process.pid, f"http://127.0.0.1:{port}/v1/chat-messages", "chat.lua"),
                          (f"{label}: model with a key", process.pid, f"http://127.0.0.1:{port}/llm/v1/chat/completions", "chat.lua")]
                wait_for(port)
            wait_for(proxy)
            results = {kind[0]: [] for kind in kinds}
            for label, pid, url, script in kinds:
                measure(pid, url, folder / script, 1)
            for _ in range(arguments.rounds):
                for label, pid, url, script in kinds:
                    results[label].append(measure(pid, url, folder / script, arguments.seconds))
        finally:
            for process in running:
                process.send_signal(signal.SIGTERM)
            for process in running:
                try:
                    process.wait(15)
                except subprocess.TimeoutExpired:
                    process.kill()

    median = lambda values: sorted(values)[len(values) // 2]
    base = median([result["cpu"] for result in results["nginx proxy_pass, POST"]])
    print(f"{CONNECTIONS} connections, {arguments.rounds} passes of {arguments.seconds} s each, in turn; medians; "
          f"{os.cpu_count()} cores shared by client, gateway and upstream")
    print(f"{'':34} {'requests/s':>10} {'CPU µs/req':>11} {'x nginx':>8} {'p50':>9} {'p99':>9}")
    for label, passes in results.items():
        cpu = median([result["cpu"] for result in passes])
        middle = sorted(passes, key=lambda result: result["rate"])[len(passes) // 2]
        print(f"{label:34} {middle['rate']:10.0f} {cpu:11.1f} {cpu / base:8.2f} {middle['p50']:>9} {middle['p99']:>9}")


if __name__ == "__main__":
    main()
