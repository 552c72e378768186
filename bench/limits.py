#!/usr/bin/env python3
"""What limits cost: CPU a request of gateway and Redis, and round trips a request.

    bench/limits.py [--seconds 4] [--rounds 3] [--spillway PATH]

The same ingress request without limits, with one rule and with six on Redis, and with one on the key-value store; and the
same model call without limits, and with one and six rules that reserve its tokens, on Redis. What becomes of requests while
Redis misbehaves: bench/redis_faults.py.
Needs nginx, wrk and redis-server, and the built gateway. Everything listens on loopback and is ended here.
"""

import argparse
import json
import signal
import subprocess
import tempfile
from pathlib import Path

from side_by_side import add_spillway_option, cpu_seconds, free_port, gateway, measure, nginx, wait_for

HUGE = 1_000_000_000


def config(upstream: int, redis: str, rules: list) -> str:
    place = f"http://127.0.0.1:{upstream}"
    return json.dumps({"state": {"redis": redis}, "agents": [
        {"name": "dify", "services": {"api": place, "web": place}, "policies": {"rate_limits": rules}}]})


def rule(name: str, quota: int) -> dict:
    return {"rule_name": name, "global_threshold": {"query_per_minute": quota}}


def model_config(upstream: int, redis: str, rules: list) -> str:
    return json.dumps({
        "state": {"redis": redis},
        "models": [{"name": "llm", "policies": {"token_limits": rules}, "routes": [{"targets": [{"provider": "scripted"}]}]}],
        "providers": [{"name": "scripted", "base_url": f"http://127.0.0.1:{upstream}/model"}]})


def token_rule(name: str, quota: int, reserve: str = "expected") -> dict:
    return {"rule_name": name, "reserve": reserve, "global_threshold": {"token_per_minute": quota}}


CALL = json.dumps({"model": "m", "max_tokens": 20, "messages": [{"role": "user", "content": "Say hello."}]})
ANSWER = json.dumps({
    "id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": "m",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "Hello!"}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 8, "completion_tokens": 2, "total_tokens": 10}})
# Any path gets `ok`, and a model's paths a chat completion of 10 tokens.
UPSTREAM = ("server {{ listen 127.0.0.1:{port}; location / {{ return 200 'ok'; }} "
            "location /model/ {{ default_type application/json; return 200 '" + ANSWER.replace("{", "{{").replace("}", "}}") + "'; }} }}")


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
             ("1 rule, key-value store", config(upstream, "", [rule("a", HUGE)])),
             ("model without limits", model_config(upstream, url, [])),
             ("model, 1 rule of tokens", model_config(upstream, url, [token_rule("a", HUGE)])),
             ("model, 6 rules of tokens", model_config(upstream, url, [token_rule(name, HUGE) for name in "abcdef"]))]
    gateways = []
    for label, text in kinds:
        port = free_port()
        gateways.append((label, port, gateway(folder, arguments.spillway, port, upstream, text)))
        running.append(gateways[-1][2])
        wait_for(port)
    results = {label: [] for label, _, _ in gateways}
    for label, port, process in gateways:
        measure(process.pid, *request_of(label, port, folder), 1)
    for _ in range(arguments.rounds):
        for label, port, process in gateways:
            before, counted = cpu_seconds(redis.pid), round_trips(redis_port)
            result = measure(process.pid, *request_of(label, port, folder), arguments.seconds)
            requests = result["rate"] * arguments.seconds
            result["redis_cpu"] = (cpu_seconds(redis.pid) - before) / requests * 1e6
            result["round_trips"] = (round_trips(redis_port) - counted) / requests
            results[label].append(result)
    print(f"{'':26} {'requests/s':>10} {'gateway µs':>11} {'Redis µs':>9} {'round trips':>12} {'p99':>9}")
    for label, passes in results.items():
        middle = sorted(passes, key=lambda result: result["cpu"])[len(passes) // 2]
        print(f"{label:26} {middle['rate']:10.0f} {middle['cpu']:11.1f} {middle['redis_cpu']:9.1f} "
              f"{middle['round_trips']:12.3f} {middle['p99']:>9}")


def request_of(label: str, port: int, folder: Path) -> tuple:
    if label.startswith("model"):
        return f"http://127.0.0.1:{port}/llm/v1/chat/completions", folder / "call.lua"
    return f"http://127.0.0.1:{port}/v1/x", folder / "get.lua"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=3)
    add_spillway_option(parser)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "get.lua").write_text('wrk.method = "GET"\n')
        (folder / "call.lua").write_text(
            f"wrk.method = 'POST'\nwrk.headers['content-type'] = 'application/json'\nwrk.body = [[{CALL}]]\n")
        upstream = free_port()
        server = nginx(folder, "upstream", UPSTREAM.format(port=upstream))
        wait_for(upstream)
        try:
            cost(folder, upstream, arguments)
        finally:
            end(server)


if __name__ == "__main__":
    main()
