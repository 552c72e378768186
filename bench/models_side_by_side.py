#!/usr/bin/env python3
"""What a model call costs: Spillway beside LiteLLM, Portkey and nginx, in one run.

    bench/models_side_by_side.py [--seconds 4] [--rounds 3] [--install] [--spillway PATH] [--old PATH] [--only WORDS] [--kinds WORDS]

CPU µs a call (user and system time of the gateway's processes), calls/s and latency at 16 keep-alive connections, of
  chat     an answer in one piece, with usage;
  stream   24 chunks that the provider writes one after the other, as fast as it can;
  paced    the same with --gap-ms between two chunks, as a model writes them: every chunk wakes the gateway;
each as it is, and behind two targets that refuse connections ("2 dead ahead"). Then what only Spillway has: what a
call costs while its breakers are still closed, what becomes of the first calls of a fresh gateway, and how often it
asks Redis.

Needs nginx and wrk (Debian packages `nginx-light`, `wrk`), redis-server for the lines with Redis, and the built
gateway (`./scripts/up` builds it). LiteLLM is run from .venv/litellm, Portkey from .venv/portkey; --install puts them
there (needs PyPI, npm and node), else those that are missing are left out. Everything listens on loopback (Portkey:
on every interface) and is ended here. Absolute figures depend on the machine and its neighbours: quote the ratios.
"""

import argparse
import asyncio
import json
import os
import random
import re
import resource
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

from limits import redis_cli, start_redis
from side_by_side import ANSWER, CONNECTIONS, ROOT, add_spillway_option, free_port, gateway, nginx, wait_for
from sse_streams import children, resident_kib

EVENTS = 20
KINDS = ("chat", "stream", "paced")
CLOSED = {"failures": 100, "of": 100}
LITELLM = ROOT / ".venv/litellm"
PORTKEY = ROOT / ".venv/portkey"
PORTKEY_START = PORTKEY / "node_modules/@portkey-ai/gateway/build/start-server.js"


def cpu_now(pid: int) -> float:
    """User and system time of a process and all below it, to the nanosecond: short passes are measured too."""
    total = 0.0
    for current in children(pid):
        try:
            # The process's own clock: what clock_getcpuclockid(3) makes of a process id.
            total += time.clock_gettime((~current << 3) | 2)
        except OSError:
            continue
    return total


# --- What is asked, and of whom


@dataclass
class Contender:
    """One line of the tables."""

    name: str
    pid: int
    port: int
    path: str
    headers: dict
    dead: bool
    redis: int | None = None
    started: float = 0.0
    results: dict = field(default_factory=dict)
    failures: dict = field(default_factory=dict)

    def body(self, kind: str) -> bytes:
        model = f"{kind}-dead" if self.dead else kind
        question = {"model": model, "messages": [{"role": "user", "content": "Say hello to a person who measures."}]}
        return json.dumps(question | ({} if kind == "chat" else {"stream": True})).encode()

    def request(self, kind: str) -> bytes:
        body = self.body(kind)
        lines = [f"POST {self.path.format(kind=kind)} HTTP/1.1", "host: gateway", "content-type: application/json",
                 f"content-length: {len(body)}", *(f"{name}: {value}" for name, value in self.headers_of(kind).items())]
        return "\r\n".join(lines).encode() + b"\r\n\r\n" + body

    def headers_of(self, kind: str) -> dict:
        return {name: value[kind] if isinstance(value, dict) else value for name, value in self.headers.items()}


@dataclass
class Places:
    """Where the upstreams are: by kind, and two where nobody listens."""

    live: dict
    dead: list

    def url(self, kind: str) -> str:
        return f"http://127.0.0.1:{self.live[kind]}/v1"

    def dead_urls(self) -> list:
        return [f"http://127.0.0.1:{port}/v1" for port in self.dead]


def spillway_config(places: Places, redis: str = "", breaker: dict | None = None) -> str:
    rule = {"breaker": breaker} if breaker else {}
    providers = [{"name": kind, "base_url": places.url(kind), "api_keys": ["sk-upstream"]} for kind in KINDS]
    gone = [{"name": f"gone{number}", "base_url": url, "api_keys": ["sk-gone"], **rule}
            for number, url in enumerate(places.dead_urls())]
    first = [{"provider": provider["name"]} for provider in gone]
    routes = [{"match": {"model": [f"{kind}{suffix}"]}, "targets": ahead + [{"provider": kind}]}
              for kind in KINDS for suffix, ahead in (("", []), ("-dead", first))]
    routes += [{"match": {"model": [provider["name"]]}, "targets": [{"provider": provider["name"]}]} for provider in gone]
    return json.dumps({
        "state": {"redis": redis}, "consumers": [{"name": "bench", "credentials": [{"api_key": "sk-bench"}]}],
        "providers": providers + gone, "models": [{"name": "llm", "policies": {"auth": ["bench"]}, "routes": routes}]})


def litellm_config(places: Places) -> str:
    """JSON is YAML. Each dead one is asked once: the kindest setting."""

    def model(name: str, url: str) -> dict:
        return {"model_name": name, "litellm_params": {"model": "openai/fake", "api_base": url, "api_key": "sk-upstream",
                                                       "max_retries": 0}}

    models, fallbacks = [], []
    for kind in KINDS:
        first, second = places.dead_urls()
        models += [model(kind, places.url(kind)), model(f"{kind}-dead", first), model(f"{kind}-second", second)]
        fallbacks.append({f"{kind}-dead": [f"{kind}-second", kind]})
    return json.dumps({"model_list": models, "general_settings": {"master_key": "sk-bench"},
                       "router_settings": {"num_retries": 0, "fallbacks": fallbacks},
                       "litellm_settings": {"telemetry": False, "num_retries": 0, "request_timeout": 30}})


def portkey_headers(places: Places, dead: bool) -> dict:
    def config(kind: str) -> dict:
        def target(url: str) -> dict:
            return {"provider": "openai", "custom_host": url, "api_key": "sk-upstream"}

        ahead = [target(url) for url in places.dead_urls()] if dead else []
        targets = ahead + [target(places.url(kind))]
        return {"strategy": {"mode": "fallback"}, "targets": targets} if dead else targets[0]

    return {"x-portkey-config": {kind: json.dumps(config(kind)) for kind in KINDS}}


# --- The upstream that streams


def chunk(text: dict | str) -> bytes:
    data = f"data: {text if isinstance(text, str) else json.dumps(text)}\n\n".encode()
    return b"%x\r\n%s\r\n" % (len(data), data)


def chunks() -> list:
    def of(**fields) -> bytes:
        return chunk({"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "m"} | fields)

    def choice(delta: dict, finish: str | None = None) -> list:
        return [{"index": 0, "delta": delta, "finish_reason": finish}]

    return [of(choices=choice({"role": "assistant", "content": ""})),
            *(of(choices=choice({"content": f"word{number} "})) for number in range(EVENTS)),
            of(choices=choice({}, "stop")),
            of(choices=[], usage={"prompt_tokens": 20, "completion_tokens": EVENTS, "total_tokens": 20 + EVENTS}),
            chunk("[DONE]") + b"0\r\n\r\n"]


class Answering(asyncio.Protocol):
    """The upstream's side of one connection: each chunk is a write of its own."""

    HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"

    def __init__(self, gap: float, pieces: list):
        self.gap, self.pieces, self.pending, self.transport = gap, pieces, b"", None

    def connection_made(self, transport) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.pending += data
        head, found, body = self.pending.partition(b"\r\n\r\n")
        if not found:
            return
        length = re.search(rb"content-length: *(\d+)", head.lower())
        if len(body) < int(length.group(1)) if length else not body.endswith(b"0\r\n\r\n"):
            return
        self.pending = b""
        self.transport.write(self.HEAD)
        if self.gap == 0:
            for piece in self.pieces:
                self.transport.write(piece)
        else:
            self.send(0)

    def send(self, number: int) -> None:
        if self.transport.is_closing():
            return
        self.transport.write(self.pieces[number])
        if number + 1 < len(self.pieces):
            asyncio.get_running_loop().call_later(self.gap, self.send, number + 1)


async def stream_upstream(ports: list, gap: float) -> None:
    loop, pieces = asyncio.get_running_loop(), chunks()
    for port, own_gap in zip(ports, (0.0, gap)):
        await loop.create_server(lambda own_gap=own_gap: Answering(own_gap, pieces), "127.0.0.1", port, backlog=512)
    await asyncio.Event().wait()


# --- The client


class Asking(asyncio.Protocol):
    """One connection of the client: asks again and again until it is told to stop."""

    def __init__(self, request: bytes, is_stream: bool, keeps_on, ended):
        self.request, self.is_stream, self.keeps_on, self.ended = request, is_stream, keeps_on, ended
        self.calls, self.firsts, self.faults, self.attempts = [], [], {}, {}
        self.transport, self.received, self.began, self.first = None, b"", 0.0, None

    def connection_made(self, transport) -> None:
        self.transport = transport
        self.ask()

    def ask(self) -> None:
        if not self.keeps_on():
            self.request = None
            self.transport.close()
            return
        self.received, self.first, self.began = b"", None, time.perf_counter()
        self.transport.write(self.request)

    def data_received(self, data: bytes) -> None:
        self.received += data
        if self.first is None and b'"word0 ' in self.received:
            self.first = time.perf_counter() - self.began
        head, found, body = self.received.partition(b"\r\n\r\n")
        if not found:
            return
        length = re.search(rb"content-length: *(\d+)", head.lower())
        if len(body) >= int(length.group(1)) if length else body.endswith(b"0\r\n\r\n"):
            self.complete(head, body)
            self.ask()

    def complete(self, head: bytes, body: bytes) -> None:
        self.calls.append(time.perf_counter() - self.began)
        status = head.split(b" ", 2)[1].decode()
        fault = None
        if status != "200":
            fault = f"{status}: {body[:300].decode(errors='replace')}"
        elif self.is_stream and (body.count(b'"word') != EVENTS or b"data: [DONE]" not in body):
            count = body.count(b'"word')
            fault = f"a stream of {count} events: {head[:400]!r} {body[:300]!r}"
        if fault:
            self.faults[fault] = self.faults.get(fault, 0) + 1
        if self.first is not None:
            self.firsts.append(self.first)
        attempts = re.search(rb"x-gateway-attempts: *(\d+)", head.lower())
        if attempts:
            count = int(attempts.group(1))
            self.attempts[count] = self.attempts.get(count, 0) + 1

    def connection_lost(self, error) -> None:
        if self.request is not None and self.received:
            self.faults["connection lost"] = self.faults.get("connection lost", 0) + 1
        self.ended(self)


async def ask(port: int, request: bytes, is_stream: bool, connections: int, keeps_on) -> list:
    """Asks on so many connections until `keeps_on` says no; gives the connections, done."""
    loop, done = asyncio.get_running_loop(), []

    async def one() -> None:
        while True:
            over = loop.create_future()
            await loop.create_connection(lambda: Asking(request, is_stream, keeps_on, over.set_result), "127.0.0.1", port)
            done.append(await over)
            if not keeps_on():
                return

    await asyncio.gather(*(asyncio.wait_for(one(), 120) for _ in range(connections)))
    return done


def summed(dictionaries) -> dict:
    total = {}
    for dictionary in dictionaries:
        for key, value in dictionary.items():
            total[key] = total.get(key, 0) + value
    return dict(sorted(total.items()))


def burst(port: int, request: bytes, is_stream: bool, calls: int, connections: int = 1) -> dict:
    """So many calls; what came of them."""
    left = iter(range(calls))
    done = asyncio.run(ask(port, request, is_stream, connections, lambda: next(left, None) is not None))
    times = sorted(took for connection in done for took in connection.calls)
    return {"times": times, "faults": summed(connection.faults for connection in done),
            "attempts": summed(connection.attempts for connection in done)}


# --- Measuring


def at(values: list, share: float) -> float:
    return sorted(values)[min(len(values) - 1, int(len(values) * share))] * 1000 if values else float("nan")


def milliseconds(text: str) -> float:
    number, unit = re.fullmatch(r"([\d.]+)(\w+)", text).groups()
    return float(number) * {"us": 0.001, "ms": 1.0, "s": 1000.0, "m": 60_000.0}[unit]


def with_wrk(contender: Contender, kind: str, folder: Path, seconds: int) -> dict:
    script = folder / "call.lua"
    headers = {"content-type": "application/json"} | contender.headers_of(kind)
    script.write_text("wrk.method = 'POST'\n" + "".join(f"wrk.headers[{json.dumps(name)}] = {json.dumps(value)}\n"
                                                        for name, value in headers.items())
                      + f"wrk.body = {json.dumps(contender.body(kind).decode())}\n")
    output = subprocess.run(
        ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{seconds}s", "--timeout", "20s", "--latency", "-s", str(script),
         f"http://127.0.0.1:{contender.port}{contender.path.format(kind=kind)}"],
        capture_output=True, text=True, check=True).stdout
    found = re.search(r"(\d+) requests in ([\d.]+\w+)", output)
    latency = dict(re.findall(r"(50|99)%\s+([\d.]+\w+)", output))
    failed = re.search(r"Non-2xx or 3xx responses: (\d+)", output)
    return {"calls": int(found.group(1)), "took": milliseconds(found.group(2)) / 1000, "first": float("nan"),
            "p50": milliseconds(latency["50"]), "p99": milliseconds(latency["99"]),
            "failed": int(failed.group(1)) if failed else 0}


def with_streams(contender: Contender, kind: str, seconds: float) -> dict:
    began = time.perf_counter()
    done = asyncio.run(ask(contender.port, contender.request(kind), True, CONNECTIONS,
                           lambda: time.perf_counter() < began + seconds))
    took = time.perf_counter() - began
    times = [time for connection in done for time in connection.calls]
    firsts = [time for connection in done for time in connection.firsts]
    faults = summed(connection.faults for connection in done)
    for fault, count in list(faults.items())[:3]:
        print(f"  {contender.name}, {kind}: {count} x {fault}", file=sys.stderr)
    return {"calls": len(times), "took": took, "first": at(firsts, 0.5), "p50": at(times, 0.5), "p99": at(times, 0.99),
            "failed": sum(faults.values())}


def commands(redis: int | None) -> dict:
    """Calls of each command, from INFO commandstats: what a script calls is counted there too."""
    if redis is None:
        return {}
    lines = redis_cli(redis, "info", "commandstats")
    return {name: int(calls) for name, calls in re.findall(r"cmdstat_([^:]+):calls=(\d+)", lines)}


def measure(contender: Contender, kind: str, folder: Path, seconds: int) -> dict:
    cpu, asked = cpu_now(contender.pid), commands(contender.redis)
    result = with_wrk(contender, kind, folder, seconds) if kind == "chat" else with_streams(contender, kind, seconds)
    result["cpu"] = (cpu_now(contender.pid) - cpu) / max(1, result["calls"]) * 1e6
    result["rate"] = result["calls"] / result["took"]
    result["commands"] = {name: (count - asked.get(name, 0)) / max(1, result["calls"])
                          for name, count in commands(contender.redis).items() if count > asked.get(name, 0)}
    return result


# --- Starting everything


def install() -> None:
    subprocess.run([sys.executable, "-m", "venv", str(LITELLM)], check=True)
    subprocess.run([str(LITELLM / "bin/pip"), "install", "-q", "litellm[proxy]"], check=True)
    PORTKEY.mkdir(parents=True, exist_ok=True)
    # With newer servers of Hono's, which npm would take, Portkey 1.15.2 answers every stream with 500 ("immutable").
    (PORTKEY / "package.json").write_text(json.dumps({
        "private": True, "dependencies": {"@portkey-ai/gateway": "1.15.2"}, "overrides": {"@hono/node-server": "1.3.3"}}))
    subprocess.run(["npm", "install", "--silent", "--prefix", str(PORTKEY)], check=True)


class Running:
    """What has been started, to be ended."""

    def __init__(self, folder: Path):
        self.folder, self.processes, self.held = folder, [], []

    def add(self, process: subprocess.Popen, port: int) -> float:
        """Gives how long it took until it listened."""
        began = time.monotonic()
        self.processes.append(process)
        wait_for(port)
        return time.monotonic() - began

    def logged(self, name: str, command: list, **environment) -> subprocess.Popen:
        log = (self.folder / f"{name}.log").open("w")
        return subprocess.Popen(command, stdout=log, stderr=log, cwd=self.folder, env=dict(os.environ, **environment))

    def dead_port(self) -> int:
        """A port that refuses connections, and stays so: held by a socket that does not listen, and not among those
        that the system gives to whoever asks for any."""
        while True:
            holder = socket.socket()
            holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                holder.bind(("127.0.0.1", random.randrange(10_240, 32_000)))
                self.held.append(holder)
                return holder.getsockname()[1]
            except OSError:
                holder.close()

    def end(self) -> None:
        for process in self.processes:
            process.send_signal(signal.SIGTERM)
        for process in self.processes:
            try:
                process.wait(40)
            except subprocess.TimeoutExpired:
                process.kill()


def start_upstreams(running: Running, gap_ms: float) -> Places:
    ports = {kind: free_port() for kind in KINDS}
    running.add(nginx(running.folder, "upstream", f"server {{ listen 127.0.0.1:{ports['chat']}; default_type application/json;"
                                                  f" location / {{ return 200 '{ANSWER}'; }} }}"), ports["chat"])
    serving = [sys.executable, __file__, "--upstream", str(ports["stream"]), str(ports["paced"]), "--gap-ms", str(gap_ms)]
    running.add(running.logged("streams", serving), ports["stream"])
    return Places(ports, [running.dead_port(), running.dead_port()])


def start_nginx(running: Running, places: Places) -> list:
    port = free_port()
    upstreams = "".join(f"upstream {kind} {{ server 127.0.0.1:{places.live[kind]}; keepalive 64; keepalive_requests 1000000; }}"
                        for kind in KINDS)
    locations = "".join(f"location /{kind}/ {{ proxy_pass http://{kind}/; proxy_http_version 1.1;"
                        " proxy_set_header Connection \"\"; proxy_buffering off; }" for kind in KINDS)
    process = nginx(running.folder, "proxy", f"{upstreams} server {{ listen 127.0.0.1:{port}; {locations} }}")
    started = running.add(process, port)
    return [Contender("nginx proxy_pass", process.pid, port, "/{kind}/v1/chat/completions", {}, False, started=started)]


def start_spillway(running: Running, places: Places, binary: str, of: str = "Spillway") -> list:
    key = {"authorization": "Bearer sk-bench"}
    found = []
    kinds = [(of, None)]
    if shutil.which("redis-server"):
        kinds.append((f"{of}, Redis", free_port()))
        process = start_redis(kinds[-1][1])
        running.add(process, kinds[-1][1])
    else:
        print("The lines with Redis are left out: `redis-server` is not installed.")
    for name, redis in kinds:
        port = free_port()
        config = spillway_config(places, f"redis://127.0.0.1:{redis}" if redis else "")
        process = gateway(running.folder, binary, port, 0, config)
        started = running.add(process, port)
        found += [Contender(f"{name}{', 2 dead ahead' if dead else ''}", process.pid, port, "/llm/v1/chat/completions", key,
                            dead, redis, started) for dead in (False, True)]
    return found


def start_litellm(running: Running, places: Places) -> list:
    binary = LITELLM / "bin/litellm"
    if not binary.exists():
        print("LiteLLM is left out: it is not in .venv/litellm. --install puts it there.")
        return []
    port, file = free_port(), running.folder / "litellm.yaml"
    file.write_text(litellm_config(places))
    process = running.logged("litellm", [str(binary), "--config", str(file), "--host", "127.0.0.1", "--port", str(port),
                                         "--num_workers", "1"],
                             LITELLM_LOCAL_MODEL_COST_MAP="True", LITELLM_MODE="PRODUCTION", LITELLM_LOG="ERROR")
    started = running.add(process, port)
    return [Contender(f"LiteLLM{', 2 dead ahead' if dead else ''}", process.pid, port, "/v1/chat/completions",
                      {"authorization": "Bearer sk-bench"}, dead, started=started) for dead in (False, True)]


def start_portkey(running: Running, places: Places) -> list:
    if not PORTKEY_START.exists() or not shutil.which("node"):
        print("Portkey is left out: it is not in .venv/portkey, or there is no node. --install puts it there.")
        return []
    port = free_port()
    process = running.logged("portkey", ["node", str(PORTKEY_START), "--headless", f"--port={port}"], NODE_ENV="production")
    started = running.add(process, port)
    return [Contender(f"Portkey{', 2 dead ahead' if dead else ''}", process.pid, port, "/v1/chat/completions",
                      portkey_headers(places, dead), dead, started=started) for dead in (False, True)]


# --- What only Spillway has


class Revived:
    """A server where nobody listened, for a moment: so that a breaker sees a success between its failures."""

    ANSWER = (b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close\r\ncontent-length: %d\r\n\r\n%s"
              % (len(ANSWER), ANSWER.encode()))

    @classmethod
    async def serve(cls, reader, writer) -> None:
        await reader.readuntil(b"}]}")
        writer.write(cls.ANSWER)
        await writer.drain()
        writer.close()

    @classmethod
    async def call(cls, dead: int, port: int, request: bytes) -> list:
        async with await asyncio.start_server(cls.serve, "127.0.0.1", dead):
            left = iter([1])
            return await ask(port, request, False, 1, lambda: next(left, None) is not None)


def closed_breakers(running: Running, places: Places, arguments) -> None:
    """What a call costs that finds both dead targets out anew. One after the other, in one instance: the budget of
    further attempts is saved up by calls that need none, and each breaker sees a success in between."""
    port = free_port()
    process = gateway(running.folder, arguments.spillway, port, 0, spillway_config(places, breaker=CLOSED),
                      ("--max-instance-reuse-count", "100000000", "--idle-instance-timeout", "60s"))
    running.add(process, port)
    key = {"authorization": "Bearer sk-bench"}

    def contender(dead: bool) -> Contender:
        return Contender("Spillway", process.pid, port, "/llm/v1/chat/completions", key, dead)

    def revive(number: int) -> None:
        request = contender(False).request("chat").replace(b'"model": "chat"', b'"model": "gone%d"' % number)
        length = len(request.split(b"\r\n\r\n", 1)[1])
        request = re.sub(rb"content-length: \d+", b"content-length: %d" % length, request)
        for done in asyncio.run(Revived.call(places.dead[number], port, request)):
            if done.faults:
                sys.exit(f"the revived target failed: {done.faults}")

    print("\nBreakers closed (failures 100 of 100): one call after the other, CPU µs a call and ms")
    print(f"{'':38} {'CPU µs/call':>11} {'p50':>9} {'p99':>9} {'calls':>7} {'failed':>7}  attempts")
    for kind in ("chat", "stream"):
        sums = {dead: {"cpu": 0.0, "times": [], "faults": [], "attempts": []} for dead in (False, True)}
        burst(port, contender(False).request(kind), kind != "chat", 300)
        end = time.monotonic() + arguments.seconds * 2
        while time.monotonic() < end:
            revive(0)
            revive(1)
            for dead, calls in ((False, 250), (True, 20)):
                cpu = cpu_now(process.pid)
                result = burst(port, contender(dead).request(kind), kind != "chat", calls)
                sums[dead]["cpu"] += cpu_now(process.pid) - cpu
                sums[dead]["times"] += result["times"]
                sums[dead]["faults"].append(result["faults"])
                sums[dead]["attempts"].append(result["attempts"])
        for dead, found in sums.items():
            calls = len(found["times"])
            print(f"{kind + (', 2 dead ahead, breakers closed' if dead else ', plain'):38} {found['cpu'] / calls * 1e6:11.1f} "
                  f"{at(found['times'], 0.5):9.2f} {at(found['times'], 0.99):9.2f} {calls:7} "
                  f"{sum(summed(found['faults']).values()):7}  {summed(found['attempts'])}")


def first_calls(running: Running, places: Places, arguments) -> None:
    """A fresh gateway whose first two targets are dead: what its first clients get."""
    print("\nThe first 128 calls of a fresh gateway behind 2 dead targets")
    print(f"{'':42} {'failed':>7} {'p50':>9} {'max':>9}  attempts")
    for rule, breaker in (("default", None), ("100 of 100", CLOSED)):
        for connections in (1, CONNECTIONS):
            port = free_port()
            process = gateway(running.folder, arguments.spillway, port, 0, spillway_config(places, breaker=breaker))
            running.add(process, port)
            found = Contender("", process.pid, port, "/llm/v1/chat/completions", {"authorization": "Bearer sk-bench"}, True)
            result = burst(port, found.request("chat"), False, 128, connections)
            label = f"breaker {rule}, {connections} connection{'s' if connections > 1 else ''}"
            print(f"{label:42} {sum(result['faults'].values()):7} {at(result['times'], 0.5):9.2f} "
                  f"{at(result['times'], 1):9.2f}  {result['attempts']}")
            for fault, count in result["faults"].items():
                print(f"    {count} x {fault}")
            process.send_signal(signal.SIGTERM)


# --- The tables


def median(values: list) -> float:
    return sorted(values)[len(values) // 2]


def table(kind: str, all_contenders: list) -> None:
    contenders = [contender for contender in all_contenders if kind not in contender.failures]
    cpu = {contender.name: median([result["cpu"] for result in contender.results[kind]]) for contender in contenders}
    bases = [name for name in ("nginx proxy_pass", "Spillway", "Spillway, 2 dead ahead") if name in cpu]
    shown = {"nginx proxy_pass": "x nginx", "Spillway": "x Spillway", "Spillway, 2 dead ahead": "x w. dead"}
    print(f"\n{kind:34} {'CPU µs/call':>11} {'calls/s':>8} {'p50 ms':>8} {'p99 ms':>8} {'first ms':>8} {'failed':>7}"
          + "".join(f" {shown[base]:>10}" for base in bases))
    for contender in contenders:
        results = contender.results[kind]
        middle = sorted(results, key=lambda result: result["cpu"])[len(results) // 2]
        print(f"{contender.name:34} {middle['cpu']:11.1f} {middle['rate']:8.0f} {middle['p50']:8.2f} {middle['p99']:8.2f} "
              f"{middle['first']:8.2f} {sum(result['failed'] for result in results):7}"
              + "".join(f" {cpu[contender.name] / cpu[base]:10.2f}" for base in bases))
    for contender in all_contenders:
        if kind in contender.failures:
            print(f"{contender.name:34} failed: {contender.failures[kind]}")


def redis_table(contenders: list) -> None:
    asking = [contender for contender in contenders if contender.redis]
    if not asking:
        return
    print("\nCommands a call that Redis was asked for, those of scripts included (a round trip: eval or evalsha)")
    for contender in asking:
        for kind, results in contender.results.items():
            if kind in contender.failures:
                continue
            middle = results[len(results) // 2]
            each = "  ".join(f"{name} {count:.4f}" for name, count in sorted(middle["commands"].items())
                             if name not in ("info", "config|get"))
            trips = sum(middle["commands"].get(name, 0) for name in ("eval", "evalsha"))
            print(f"{contender.name + ', ' + kind:42} {trips:.4f} round trips: {each}")


def deaths(contenders: list, folder: Path) -> None:
    """Failures of Spillway's that its own log explains."""
    for port in dict.fromkeys(contender.port for contender in contenders if contender.name.startswith("Spillway")):
        with (folder / f"gateway-{port}.log").open(errors="replace") as log:
            lines = [line.strip() for line in log if "instance died" in line or "panicked at" in line]
        name = next(contender.name for contender in contenders if contender.port == port)
        for line in dict.fromkeys(lines):
            print(f"{name}: {lines.count(line)} x {line}")


def check(contender: Contender, kind: str) -> None:
    """One call that must be served, with compiled code and connections as its gain."""
    result = burst(contender.port, contender.request(kind), kind != "chat", 1)
    if result["faults"]:
        raise RuntimeError(f"its first call failed: {result['faults']}")


def attempt(contender: Contender, kind: str, what) -> None:
    """Does `what`; a contender that fails at it is a line of its table, and is asked no more of this kind."""
    if kind in contender.failures:
        return
    try:
        what()
    except (Exception, SystemExit) as error:
        contender.failures[kind] = str(error)


def started(start, *arguments) -> list:
    """What `start` starts; a peer that does not come up is a line."""
    try:
        return start(*arguments)
    except (Exception, SystemExit) as error:
        print(f"{start.__name__.removeprefix('start_')}: left out, it does not start: {error}")
        return []


def run(arguments, running: Running) -> None:
    load = " ".join(map(str, os.getloadavg()))
    places = start_upstreams(running, arguments.gap_ms)
    contenders = start_nginx(running, places)
    if arguments.old:
        contenders += start_spillway(running, places, arguments.old, "Old build")
    contenders += start_spillway(running, places, arguments.spillway)
    contenders += started(start_litellm, running, places) + started(start_portkey, running, places)
    wanted = [word.lower() for word in arguments.only.split(",")] if arguments.only else [""]
    contenders = [contender for contender in contenders if any(word in contender.name.lower() for word in wanted)]
    for kind in arguments.kinds:
        for contender in contenders:
            attempt(contender, kind, lambda: check(contender, kind))
            attempt(contender, kind, lambda: measure(contender, kind, running.folder, 1))
            contender.results[kind] = []
        for _ in range(arguments.rounds):
            for contender in contenders:
                attempt(contender, kind, lambda: contender.results[kind].append(
                    measure(contender, kind, running.folder, arguments.seconds)))
    print(f"{CONNECTIONS} connections, {arguments.rounds} passes of {arguments.seconds} s each, in turn; medians by CPU; "
          f"{os.cpu_count()} cores shared by client, gateway and upstream; load average before {load}")
    for kind in arguments.kinds:
        table(kind, contenders)
    print(f"\n{'':34} {'start s':>8} {'RSS MiB':>8}")
    for contender in contenders:
        if not contender.dead:
            print(f"{contender.name:34} {contender.started:8.2f} {resident_kib(contender.pid) / 1024:8.1f}")
    redis_table(contenders)
    deaths(contenders, running.folder)
    closed_breakers(running, places, arguments)
    first_calls(running, places, arguments)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=int, default=4, help="length of one pass")
    parser.add_argument("--rounds", type=int, default=3, help="passes of each, in turn")
    parser.add_argument("--gap-ms", type=float, default=2, help="between two chunks of a paced stream")
    parser.add_argument("--install", action="store_true", help="put LiteLLM and Portkey into .venv first")
    parser.add_argument("--only", help="words, parted by commas: the lines whose names have one of them")
    parser.add_argument("--kinds", type=lambda text: text.split(","), default=list(KINDS), help="of: " + ",".join(KINDS))
    add_spillway_option(parser)
    parser.add_argument("--old", metavar="PATH", help="another build of it, measured beside it")
    parser.add_argument("--upstream", type=int, nargs=2, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.upstream:
        asyncio.run(stream_upstream(arguments.upstream, arguments.gap_ms / 1000))
        return
    for tool in ("nginx", "wrk"):
        if not shutil.which(tool):
            sys.exit(f"`{tool}` is missing: apt-get install nginx-light wrk")
    if not Path(arguments.spillway).exists():
        sys.exit(f"{arguments.spillway} is not there: run ./scripts/up once")
    if arguments.install:
        install()
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    with tempfile.TemporaryDirectory() as name:
        running = Running(Path(name))
        try:
            run(arguments, running)
        finally:
            running.end()


if __name__ == "__main__":
    main()
