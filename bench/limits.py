#!/usr/bin/env python3
"""What request limits cost, and what becomes of requests while Redis misbehaves.

    bench/limits.py [--seconds 4] [--rounds 3] [--spillway PATH]

Part 1: the same ingress request without limits, with one rule and with six on Redis, and with one on the key-value
store: requests/s, CPU a request of gateway and Redis, round trips a request. Part 2: 100 requests/s against a
gateway whose Redis is stopped, frozen, full, restarted: the longest request, and how soon limits hold again.
Needs nginx, wrk and redis-server, and the built gateway. Everything listens on loopback and is ended here.
"""

import argparse
import http.client
import json
import signal
import subprocess
import tempfile
import threading
import time
from pathlib import Path

from side_by_side import add_spillway_option, cpu_seconds, free_port, gateway, measure, nginx, wait_for

HUGE = 1_000_000_000


def config(upstream: int, redis: str, rules: list) -> str:
    place = f"http://127.0.0.1:{upstream}"
    return json.dumps({"state": {"redis": redis}, "agents": [
        {"name": "dify", "services": {"api": place, "web": place}, "policies": {"rate_limits": rules}}]})


def rule(name: str, quota: int) -> dict:
    return {"rule_name": name, "global_threshold": {"query_per_minute": quota}}


def start_redis(port: int) -> subprocess.Popen:
    process = subprocess.Popen(["redis-server", "--bind", "127.0.0.1", "--port", str(port), "--save", "", "--appendonly", "no"],
                               stdout=subprocess.DEVNULL)
    wait_for(port)
    return process


def redis_cli(port: int, *arguments: str) -> str:
    return subprocess.run(["redis-cli", "-p", str(port), *arguments], capture_output=True, text=True, check=True).stdout


def round_trips(port: int) -> int:
    """Calls of the limit script: what a script calls itself is no round trip."""
    for line in redis_cli(port, "info", "commandstats").splitlines():
        if line.startswith("cmdstat_evalsha:"):
            return int(line.split("calls=")[1].split(",")[0])
    return 0


def end(process: subprocess.Popen) -> None:
    process.send_signal(signal.SIGTERM)
    process.wait(20)


def cost(folder: Path, upstream: int, arguments) -> None:
    running = []
    try:
        compare(folder, upstream, arguments, running)
    finally:
        for process in reversed(running):
            end(process)


def compare(folder: Path, upstream: int, arguments, running: list) -> None:
    redis_port = free_port()
    redis = start_redis(redis_port)
    running.append(redis)
    url = f"redis://127.0.0.1:{redis_port}"
    kinds = [("without limits", config(upstream, url, [])),
             ("1 rule, Redis", config(upstream, url, [rule("a", HUGE)])),
             ("6 rules, Redis", config(upstream, url, [rule(name, HUGE) for name in "abcdef"])),
             ("1 rule, key-value store", config(upstream, "", [rule("a", HUGE)]))]
    gateways = []
    for label, text in kinds:
        port = free_port()
        gateways.append((label, port, gateway(folder, arguments.spillway, port, upstream, text)))
        running.append(gateways[-1][2])
        wait_for(port)
    results = {label: [] for label, _, _ in gateways}
    for label, port, process in gateways:
        measure(process.pid, f"http://127.0.0.1:{port}/v1/x", folder / "get.lua", 1)
    for _ in range(arguments.rounds):
        for label, port, process in gateways:
            before, counted = cpu_seconds(redis.pid), round_trips(redis_port)
            result = measure(process.pid, f"http://127.0.0.1:{port}/v1/x", folder / "get.lua", arguments.seconds)
            requests = result["rate"] * arguments.seconds
            result["redis_cpu"] = (cpu_seconds(redis.pid) - before) / requests * 1e6
            result["round_trips"] = (round_trips(redis_port) - counted) / requests
            results[label].append(result)
    print(f"{'':26} {'requests/s':>10} {'gateway µs':>11} {'Redis µs':>9} {'round trips':>12} {'p99':>9}")
    for label, passes in results.items():
        middle = sorted(passes, key=lambda result: result["cpu"])[len(passes) // 2]
        print(f"{label:26} {middle['rate']:10.0f} {middle['cpu']:11.1f} {middle['redis_cpu']:9.1f} "
              f"{middle['round_trips']:12.3f} {middle['p99']:>9}")


class Load:
    """100 requests/s on four connections, each answer with its time and status."""

    def __init__(self, port: int):
        self.port, self.running, self.answers = port, True, []
        self.threads = [threading.Thread(target=self.run) for _ in range(4)]
        for thread in self.threads:
            thread.start()

    def run(self) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        while self.running:
            began = time.monotonic()
            connection.request("GET", "/v1/x")
            answer = connection.getresponse()
            answer.read()
            ended = time.monotonic()
            self.answers.append((ended, answer.status, (ended - began) * 1000))
            time.sleep(max(0, 0.04 - (ended - began)))

    def phase(self, seconds: float) -> tuple:
        began = time.monotonic()
        time.sleep(seconds)
        part = [answer for answer in self.answers if answer[0] >= began]
        return max(answer[2] for answer in part), sorted({answer[1] for answer in part}), len(part)

    def until(self, status: int, seconds: float) -> float:
        began = time.monotonic()
        while time.monotonic() < began + seconds:
            if any(answer[0] >= began and answer[1] == status for answer in self.answers[-20:]):
                return time.monotonic() - began
            time.sleep(0.005)
        raise SystemExit(f"no {status} within {seconds} s")

    def stop(self) -> None:
        self.running = False
        for thread in self.threads:
            thread.join()


def faults(folder: Path, upstream: int, binary: str) -> None:
    redis_port, port = free_port(), free_port()
    redis = start_redis(redis_port)
    text = config(upstream, f"redis://127.0.0.1:{redis_port}", [rule("tight", 5)])
    process = gateway(folder, binary, port, upstream, text)
    wait_for(port)
    load = Load(port)
    print("\n100 requests/s against `query_per_minute: 5`, on_error: allow (429: counted; 200: let pass uncounted)")
    load.until(429, 10)

    def tell(label: str, result: tuple) -> None:
        print(f"  {label:34} longest request {result[0]:6.1f} ms, statuses {result[1]}, {result[2]} requests")

    tell("Redis well", load.phase(2))
    redis.send_signal(signal.SIGSTOP)
    tell("frozen (SIGSTOP), first 0.5 s", load.phase(0.5))
    tell("frozen, then", load.phase(3))
    redis.send_signal(signal.SIGCONT)
    print(f"  limits hold again after            {load.until(429, 10) * 1000:.0f} ms")
    redis.kill()
    redis.wait()
    tell("stopped (SIGKILL)", load.phase(3))
    redis = start_redis(redis_port)
    print(f"  restarted; limits hold again after {load.until(429, 10) * 1000:.0f} ms (5 places of the new minute included)")
    redis_cli(redis_port, "flushall")
    redis_cli(redis_port, "config", "set", "maxmemory", "1")
    tell("full (maxmemory 1)", load.phase(3))
    redis_cli(redis_port, "config", "set", "maxmemory", "0")
    print(f"  room again; limits hold after      {load.until(429, 10) * 1000:.0f} ms")
    load.stop()
    end(process)
    end(redis)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=3)
    add_spillway_option(parser)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "get.lua").write_text('wrk.method = "GET"\n')
        upstream = free_port()
        server = nginx(folder, "upstream", f"server {{ listen 127.0.0.1:{upstream}; location / {{ return 200 'ok'; }} }}")
        wait_for(upstream)
        try:
            cost(folder, upstream, arguments)
            faults(folder, upstream, arguments.spillway)
        finally:
            end(server)


if __name__ == "__main__":
    main()
