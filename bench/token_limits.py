#!/usr/bin/env python3
"""Whether a limit of tokens holds, and how much of it is used: Spillway's three ways to reserve, side by side, and
LiteLLM's own limiter beside them.

    bench/token_limits.py [--seconds 300] [--loads overload,burst,slow,guide] [--processes 4] [--install]

Each load goes to every contender at the same time: the same calls at the same moments, to a scripted model that says how
many tokens each has used. `worst` is the largest sum of tokens of calls that ended within any 60 s, over the limit;
`use` is what was served, over what the limit allows in that time. Spillway is so many processes on one Redis; LiteLLM is
one (its limiter shares the Redis, too), run from .venv/litellm, where --install puts it.

A figure that misses its goal is marked, and the exit code is 1 then. LiteLLM is the newest release, whatever that is; its version is
told.

Needs redis-server and the built gateway. Everything listens on loopback; every process is started and ended here.
"""

import argparse
import asyncio
import dataclasses
import json
import math
import os
import random
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from side_by_side import ROOT, add_spillway_option, free_port, gateway, wait_for

LITELLM = ROOT / ".venv/litellm"
WAYS = ["none", "expected", "max"]
WINDOW = 60


@dataclasses.dataclass
class Load:
    """Calls so often, of so many tokens, that last so long."""
    limit: int
    tokens_in: int
    mean_out: int
    cap: int
    lasts: float
    rate: float = 0
    burst: int = 0

    def calls(self, seconds: float, draw: random.Random) -> list:
        """When each comes, what it says it has used, and how long it takes. The text of all is alike, so that what a
        gateway makes of it is up to a tenth too high or too low."""
        calls, at = [], 0.0
        while self.burst == 0 and at < seconds:
            at += draw.expovariate(self.rate)
            calls.append(at)
        calls += [draw.random() for _ in range(self.burst)]
        spread = 0.6
        of = math.log(self.mean_out) - spread * spread / 2
        return [(at, round(self.tokens_in * draw.uniform(0.9, 1.1)), max(1, min(self.cap, round(draw.lognormvariate(of, spread)))),
                 self.lasts * draw.uniform(0.8, 1.2)) for at in sorted(calls)]


LOADS = {
    "overload": Load(limit=20_000, tokens_in=200, mean_out=300, cap=800, lasts=2, rate=10),
    "burst": Load(limit=20_000, tokens_in=200, mean_out=300, cap=800, lasts=2, burst=1_000),
    "slow": Load(limit=20_000, tokens_in=200, mean_out=300, cap=800, lasts=18, rate=10),
    "guide": Load(limit=500, tokens_in=20, mean_out=60, cap=100, lasts=1, rate=1),
}


# The worst minute that each way to reserve may have, by load, and the least use under overload.
WORST = {"max": {"overload": 1.0, "burst": 1.0, "slow": 1.0, "guide": 1.1},
         "expected": {"overload": 1.25, "burst": 1.25, "slow": 1.25, "guide": 1.25}}
LEAST_USE = {("overload", "max"): 0.75, ("overload", "expected"): 0.75}


@dataclasses.dataclass
class Contender:
    name: str
    ports: list
    path: str
    key: str
    served: list = dataclasses.field(default_factory=list)
    refused: int = 0
    failed: int = 0


class Model:
    """Answers as the call's text says: `SAYS contender in out seconds`."""

    def __init__(self, contenders: list):
        self.contenders = {contender.name: contender for contender in contenders}
        self.began = 0.0

    async def serve(self, reader, writer):
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = re.search(rb"content-length: *(\d+)", head, re.I)
                body = await reader.readexactly(int(length.group(1))) if length else b""
                await self.answer(body, writer)
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            pass
        finally:
            writer.close()

    async def answer(self, body: bytes, writer):
        said = re.search(rb"SAYS (\S+) (\d+) (\d+) ([\d.]+)", body)
        if not said:
            writer.write(b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n")
            return
        name, tokens_in, tokens_out = said.group(1).decode(), int(said.group(2)), int(said.group(3))
        await asyncio.sleep(float(said.group(4)))
        answer = json.dumps({
            "id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": "m",
            "choices": [{"index": 0, "message": {"role": "assistant", "content": "Hello!"}, "finish_reason": "stop"}],
            "usage": {"prompt_tokens": tokens_in, "completion_tokens": tokens_out, "total_tokens": tokens_in + tokens_out},
        }).encode()
        self.contenders[name].served.append((time.monotonic() - self.began, tokens_in + tokens_out))
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%s" % (len(answer), answer))


async def call(contender: Contender, number: int, load: Load, tokens_in: int, tokens_out: int, lasts: float):
    text = f"SAYS {contender.name} {tokens_in} {tokens_out} {lasts:.2f} " + "word " * max(1, load.tokens_in - 20)
    body = json.dumps({"model": "m", "max_tokens": load.cap, "messages": [{"role": "user", "content": text}]}).encode()
    port = contender.ports[number % len(contender.ports)]
    try:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"POST %s HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer %s\r\ncontent-type: application/json\r\n"
                     b"content-length: %d\r\nconnection: close\r\n\r\n%s"
                     % (contender.path.encode(), contender.key.encode(), len(body), body))
        head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 120)
        await asyncio.wait_for(reader.read(), 120)
        status = int(head.split(b" ", 2)[1])
        writer.close()
    except (asyncio.IncompleteReadError, OSError, asyncio.TimeoutError):
        status = 0
    if status == 429:
        contender.refused += 1
    elif status != 200:
        contender.failed += 1


def worst(served: list) -> int:
    """The largest sum within any window."""
    served = sorted(served)
    most, within, first = 0, 0, 0
    for at, tokens in served:
        within += tokens
        while served[first][0] <= at - WINDOW:
            within -= served[first][1]
            first += 1
        most = max(most, within)
    return most


def spillway_config(model: int, redis: int, load: Load) -> str:
    def api(way: str) -> dict:
        limit = {"rule_name": f"tokens_{way}", "reserve": way, "on_error": "deny",
                 "global_threshold": {"token_per_minute": load.limit}}
        return {"name": way, "base_path": f"/llm/{way}", "policies": {"token_limits": [limit]},
                "routes": [{"targets": [{"provider": "scripted"}]}]}
    return json.dumps({
        "state": {"redis": f"redis://127.0.0.1:{redis}", "digest_key": "bench"},
        "models": [api(way) for way in WAYS],
        "providers": [{"name": "scripted", "base_url": f"http://127.0.0.1:{model}/v1"}],
    })


def start_litellm(folder: Path, model: int, redis: int, load: Load, processes: list) -> list:
    binary = LITELLM / "bin/litellm"
    if not binary.exists():
        print("LiteLLM is left out: it is not in .venv/litellm. --install puts it there.")
        return []
    port = free_port()
    (folder / "bench_auth.py").write_text(
        "from litellm.proxy._types import UserAPIKeyAuth\n"
        "async def user_api_key_auth(request, api_key):\n"
        f"    return UserAPIKeyAuth(api_key='bench', tpm_limit={load.limit})\n")
    (folder / "litellm.yaml").write_text(json.dumps({
        "model_list": [{"model_name": "m", "litellm_params": {
            "model": "openai/fake", "api_base": f"http://127.0.0.1:{model}/v1", "api_key": "sk-upstream"}}],
        "general_settings": {"custom_auth": "bench_auth.user_api_key_auth"},
        "litellm_settings": {"telemetry": False, "num_retries": 0, "request_timeout": 120, "cache": True,
                             "cache_params": {"type": "redis", "host": "127.0.0.1", "port": redis, "supported_call_types": []}},
    }))
    log = (folder / "litellm.log").open("w")
    environment = dict(os.environ, LITELLM_LOCAL_MODEL_COST_MAP="True", LITELLM_MODE="PRODUCTION", LITELLM_LOG="ERROR",
                       LITELLM_MASTER_KEY="sk-bench-0123456789abcdef0123456789abcdef")
    processes.append(subprocess.Popen([str(binary), "--config", str(folder / "litellm.yaml"), "--host", "127.0.0.1", "--port", str(port)],
                                      cwd=folder, env=environment, stdout=log, stderr=log))
    wait_for(port)
    return [Contender("LiteLLM", [port], "/v1/chat/completions", "sk-any")]


async def run(name: str, load: Load, seconds: float, arguments, folder: Path) -> bool:
    processes, ports = [], [free_port() for _ in range(arguments.processes)]
    redis, model_port = free_port(), free_port()
    try:
        processes.append(subprocess.Popen(["redis-server", "--port", str(redis), "--save", "", "--dir", str(folder)],
                                          stdout=subprocess.DEVNULL))
        wait_for(redis)
        contenders = [Contender(way, ports, f"/llm/{way}/v1/chat/completions", "") for way in WAYS]
        config = spillway_config(model_port, redis, load)
        for port in ports:
            # One after the other: the first compiles for all.
            processes.append(gateway(folder, arguments.spillway, port, model_port, config, ("--skip-connect",)))
            wait_for(port)
        contenders += start_litellm(folder, model_port, redis, load, processes)
        model = Model(contenders)
        server = await asyncio.start_server(model.serve, "127.0.0.1", model_port, limit=1 << 20)
        calls = load.calls(seconds, random.Random(14))
        model.began = time.monotonic()
        running = []
        for number, (at, tokens_in, tokens_out, lasts) in enumerate(calls):
            await asyncio.sleep(max(0, model.began + at - time.monotonic()))
            running += [asyncio.create_task(call(contender, number, load, tokens_in, tokens_out, lasts)) for contender in contenders]
        await asyncio.gather(*running)
        # Of a burst the window in which it comes is the whole of it.
        all_met = True
        time_counted = max(seconds, WINDOW) if load.burst == 0 else WINDOW
        for contender in contenders:
            allowed = load.limit * time_counted / WINDOW
            used = sum(tokens for at, tokens in contender.served if at <= time_counted)
            bound = WORST.get(contender.name, {}).get(name, math.inf)
            missed = worst(contender.served) / load.limit > bound or used / allowed < LEAST_USE.get((name, contender.name), 0)
            all_met = all_met and not missed and contender.failed == 0
            print(f"{name:<9} {contender.name:<9} worst {worst(contender.served) / load.limit:5.2f}   use {used / allowed:5.2f}   "
                  f"{len(contender.served):>5} served, {contender.refused:>5} refused, {contender.failed} failed"
                  + ("   MISSES ITS GOAL" if missed else ""), flush=True)
        server.close()
        return all_met
    finally:
        for process in processes:
            process.terminate()
        for process in processes:
            process.wait(20)


def install() -> None:
    subprocess.run([sys.executable, "-m", "venv", str(LITELLM)], check=True)
    subprocess.run([str(LITELLM / "bin/pip"), "install", "-q", "litellm[proxy]"], check=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=300)
    parser.add_argument("--loads", default=",".join(LOADS))
    parser.add_argument("--processes", type=int, default=4)
    parser.add_argument("--install", action="store_true", help="put LiteLLM into .venv first")
    add_spillway_option(parser)
    arguments = parser.parse_args()
    if arguments.install:
        install()
    if LITELLM.exists():
        told = subprocess.run([str(LITELLM / "bin/pip"), "show", "litellm"], capture_output=True, text=True, check=True).stdout
        print("LiteLLM " + re.search(r"Version: (\S+)", told).group(1))
    all_met = True
    for name in arguments.loads.split(","):
        with tempfile.TemporaryDirectory(prefix="spillway-token-limits-") as folder:
            all_met &= asyncio.run(run(name, LOADS[name], arguments.seconds, arguments, Path(folder)))
    sys.exit(0 if all_met else 1)


if __name__ == "__main__":
    main()
