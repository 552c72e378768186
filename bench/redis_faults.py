#!/usr/bin/env python3
"""What becomes of requests while Redis misbehaves.

    bench/redis_faults.py [--kinds requests,tokens] [--on-error allow,deny] [--spillway PATH]

100 requests/s against a gateway whose Redis is frozen, stopped, restarted, full, and 80 ms away; once with a limit of
requests on Dify's API, once with one of tokens on a model API. Told: the longest request of each phase and the statuses,
how soon limits hold again, and what is still reserved once all calls have ended, which should be nothing. Goals: nobody waits for
more than 150 ms longer than the longest request of a Redis that is well, limits hold again within 2 s, nothing stays reserved; what
misses one is marked, and the exit code is 1 then.
Needs nginx, redis-server and redis-cli, and the built gateway. Everything listens on loopback and is ended here.
"""

import argparse
import http.client
import signal
import socket
import sys
import tempfile
import threading
import time
from pathlib import Path

from limits import CALL, UPSTREAM, config, end, model_config, redis_cli, rule, start_redis, token_rule
from side_by_side import add_spillway_option, free_port, gateway, nginx, wait_for

STILL_RESERVED = """local now = redis.call('TIME')[1] * 1000 local sum = 0
for _, key in ipairs(redis.call('KEYS', '*:reserved')) do sum = sum + redis.call('ZCOUNT', key, now, '+inf') end return sum"""


class Distant:
    """A way to a port that takes so long, each way."""

    def __init__(self, port: int, delay: float):
        self.to, self.delay, self.listener = port, delay, socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self) -> None:
        while True:
            try:
                client = self.listener.accept()[0]
            except OSError:
                return
            threading.Thread(target=self.connect, args=(client,), daemon=True).start()

    def connect(self, client: socket.socket) -> None:
        # TCP's own handshake takes a way there and back, which this stands for.
        time.sleep(2 * self.delay)
        server = socket.create_connection(("127.0.0.1", self.to))
        for source, target in ((client, server), (server, client)):
            source.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            threading.Thread(target=self.carry, args=(source, target), daemon=True).start()

    def carry(self, source: socket.socket, target: socket.socket) -> None:
        pieces, new = [], threading.Condition()

        def deliver() -> None:
            while True:
                with new:
                    while not pieces:
                        new.wait()
                    at, data = pieces.pop(0)
                time.sleep(max(0, at - time.monotonic()))
                try:
                    if not data:
                        target.shutdown(socket.SHUT_WR)
                        return
                    target.sendall(data)
                except OSError:
                    return

        threading.Thread(target=deliver, daemon=True).start()
        while True:
            try:
                data = source.recv(65536)
            except OSError:
                data = b""
            with new:
                pieces.append((time.monotonic() + self.delay, data))
                new.notify()
            if not data:
                return


class Goals:
    """What was missed."""

    def __init__(self):
        self.well, self.missed = 0.0, 0

    def mark(self, met: bool) -> str:
        self.missed += not met
        return "" if met else "   MISSES ITS GOAL"


class Load:
    """100 requests/s on eight connections, each answer with its time and status."""

    CONNECTIONS = 8

    def __init__(self, port: int, kind: str):
        self.port, self.kind, self.running, self.answers = port, kind, True, []
        self.threads = [threading.Thread(target=self.run, daemon=True) for _ in range(self.CONNECTIONS)]
        for thread in self.threads:
            thread.start()

    def run(self) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        while self.running:
            began = time.monotonic()
            if self.kind == "tokens":
                connection.request("POST", "/llm/v1/chat/completions", CALL, {"content-type": "application/json"})
            else:
                connection.request("GET", "/v1/x")
            answer = connection.getresponse()
            answer.read()
            ended = time.monotonic()
            self.answers.append((ended, answer.status, (ended - began) * 1000))
            time.sleep(max(0, self.CONNECTIONS / 100 - (ended - began)))

    def phase(self, seconds: float) -> tuple:
        began = time.monotonic()
        time.sleep(seconds)
        part = [answer for answer in self.answers if answer[0] >= began]
        times = sorted(answer[2] for answer in part)
        return times[-1], times[len(times) // 2], sorted({answer[1] for answer in part}), len(part)

    def until(self, status: int, seconds: float = 75) -> float:
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


def start(kind: str, on_error: str, redis: int, folder: Path, upstream: int, binary: str) -> tuple:
    url, port = f"redis://127.0.0.1:{redis}", free_port()
    if kind == "tokens":
        text = model_config(upstream, url, [token_rule("tight", 50) | {"on_error": on_error}])
    else:
        text = config(upstream, url, [rule("tight", 5) | {"on_error": on_error}])
    process = gateway(folder, binary, port, upstream, text, ("--skip-connect",))
    wait_for(port)
    return process, Load(port, kind)


def tell(label: str, phase: tuple, goals: Goals) -> None:
    mark = goals.mark(phase[0] <= 150 + goals.well)
    print(f"  {label:34} longest request {phase[0]:6.1f} ms, median {phase[1]:5.1f}, statuses {phase[2]}, {phase[3]} requests{mark}", flush=True)


def holds_again(label: str, load: Load, goals: Goals, more: str = "") -> None:
    took = load.until(429)
    print(f"  {label:34} {took * 1000:.0f} ms{more}{goals.mark(took <= 2)}", flush=True)


def still_reserved(port: int, goals: Goals) -> None:
    """What is, a moment after all calls have ended."""
    time.sleep(0.5)
    left = redis_cli(port, "eval", STILL_RESERVED, "0").strip()
    print(f"  {'reservations that are left':34} {left}{goals.mark(left == '0')}", flush=True)


def faults(kind: str, on_error: str, folder: Path, upstream: int, binary: str, goals: Goals) -> None:
    port = free_port()
    redis, process, load = start_redis(port), None, None
    try:
        process, load = start(kind, on_error, port, folder, upstream, binary)
        print(f"\n{kind}, 100 requests/s, on_error: {on_error} (429: counted; 200 or 503: decided without a count)")
        load.until(429)
        phase = load.phase(2)
        goals.well = phase[0]
        tell("Redis well", phase, goals)
        redis.send_signal(signal.SIGSTOP)
        tell("frozen (SIGSTOP), the first 0.7 s", load.phase(0.7), goals)
        tell("frozen, then", load.phase(3), goals)
        redis.send_signal(signal.SIGCONT)
        holds_again("thawed; limits hold again after", load, goals)
        load.stop()
        still_reserved(port, goals)
        load = Load(load.port, kind)
        load.until(429)
        redis.kill()
        redis.wait()
        tell("stopped (SIGKILL)", load.phase(3), goals)
        redis = start_redis(port)
        holds_again("restarted; limits hold again after", load, goals, " (the new minute's places included)")
        redis_cli(port, "flushall")
        redis_cli(port, "config", "set", "maxmemory", "1")
        tell("full (maxmemory 1)", load.phase(3), goals)
        redis_cli(port, "config", "set", "maxmemory", "0")
        holds_again("room again; limits hold after", load, goals)
        load.stop()
        still_reserved(port, goals)
        end(process)
        redis_cli(port, "flushall")
        far = Distant(port, 0.04)
        process, load = start(kind, on_error, far.port, folder, upstream, binary)
        tell("80 ms away, the first 3 s", load.phase(3), goals)
        tell("80 ms away, then", load.phase(5), goals)
        statuses = [status for _, status, _ in load.answers]
        print(f"  80 ms away: {statuses.count(429)} of {len(statuses)} requests refused by their count")
        load.stop()
        still_reserved(port, goals)
    finally:
        if load:
            load.stop()
        for running in (process, redis):
            if running:
                end(running)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kinds", default="requests,tokens")
    parser.add_argument("--on-error", default="allow,deny")
    add_spillway_option(parser)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        upstream = free_port()
        goals = Goals()
        server = nginx(folder, "upstream", UPSTREAM.format(port=upstream))
        wait_for(upstream)
        try:
            for kind in arguments.kinds.split(","):
                for on_error in arguments.on_error.split(","):
                    faults(kind, on_error, folder, upstream, arguments.spillway, goals)
        finally:
            end(server)
    sys.exit(1 if goals.missed else 0)


if __name__ == "__main__":
    main()
