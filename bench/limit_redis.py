#!/usr/bin/env python3
"""What a limit costs Redis: CPU time a call of the limits' scripts, for 1 and for 6 rules that count requests, and for
rules that reserve tokens, 200 calls in flight, with their settlement.

    bench/limit_redis.py [--calls 50000] [--rounds 3]

Needs redis-server (Debian package `redis-server`), which is started and ended here, on loopback. One connection sends
`EVALSHA` in batches of 100, so that reading and writing the socket is shared by many calls and what is measured is
the script; `whole` is all CPU time of the Redis process over the calls, `script` is what its own `INFO commandstats`
says. Beside it the same through a script that keeps one fixed window a rule (GET, INCR, EXPIRE), which is what gateways
commonly do, and a bare INCR. Absolute figures depend on the machine and its neighbours: quote the ratios.
"""

import argparse
import hashlib
import socket
import statistics
import subprocess
import tempfile
import time

from side_by_side import ROOT, cpu_seconds, free_port, wait_for

SCRIPT = (ROOT / "crates/state/src/limit_charge_v5.lua").read_text()
SETTLE = (ROOT / "crates/state/src/limit_settle_v2.lua").read_text()
OBSERVE = (ROOT / "crates/state/src/usage_observe_v1.lua").read_text()
INDEX = (ROOT / "crates/state/src/limit_index_v1.lua").read_text()
READ = (ROOT / "crates/state/src/limit_read_v1.lua").read_text()
FIXED_WINDOW = """
local passes = 1
for i = 1, #KEYS do
  if tonumber(redis.call('GET', KEYS[i]) or '0') >= tonumber(ARGV[2 * i - 1]) then passes = 0 end
end
if passes == 1 then
  for i = 1, #KEYS do
    if redis.call('INCR', KEYS[i]) == 1 then redis.call('EXPIRE', KEYS[i], ARGV[2 * i]) end
  end
end
return passes
"""
BATCH = 100
WINDOWS = [60_000, 1_000, 3_600_000, 86_400_000, 60_000, 3_600_000]
MUCH = 1_000_000_000


def digest_of(script: str) -> str:
    return hashlib.sha1(script.encode()).hexdigest()


def encode(*parts) -> bytes:
    parts = [str(part).encode() for part in parts]
    return b"*%d\r\n" % len(parts) + b"".join(b"$%d\r\n%s\r\n" % (len(part), part) for part in parts)


class Redis:
    def __init__(self, port: int):
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.reader = self.socket.makefile("rb")

    def read(self):
        line = self.reader.readline()
        kind, rest = line[:1], line[1:-2]
        if kind == b"-":
            raise RuntimeError(rest.decode())
        if kind == b"*":
            return [self.read() for _ in range(int(rest))]
        if kind == b"$":
            return self.reader.read(int(rest) + 2)[:-2] if int(rest) >= 0 else None
        return int(rest) if kind == b":" else rest

    def call(self, *parts):
        self.socket.sendall(encode(*parts))
        return self.read()

    def batch(self, commands: list) -> list:
        self.socket.sendall(b"".join(commands))
        return [self.read() for _ in commands]

    def microseconds_a_call(self, command: str) -> float:
        for line in self.call("INFO", "commandstats").decode().splitlines():
            if line.startswith(f"cmdstat_{command}:"):
                return float(line.split("usec_per_call=")[1].split(",")[0])
        return float("nan")


def sliding(prefix: str, rules: int, limit: int, first_value: int, values: int) -> list:
    """Calls whose first rule has a count of its own for each value, as `limit_by_per_ip` has; the others share theirs."""
    commands = []
    for index in range(BATCH):
        keys = [f"spillway:{{limit}}:v1:{prefix}{(first_value + index) % values:032x}:60"]
        keys += [f"spillway:{{limit}}:v1:{prefix}shared{rule:026x}:{rule}" for rule in range(1, rules)]
        arguments = [part for rule in range(rules) for part in (limit, WINDOWS[rule], 0, 0, 1, 0)]
        commands.append(encode("EVALSHA", digest_of(SCRIPT), rules, *keys, "", rules, 0, 0, "lease", 30000, "", *arguments))
    return commands


def reserving(prefix: str, rules: int, first: int) -> list:
    """Calls each of which reserves 500 tokens of every rule."""
    commands = []
    for index in range(first, first + BATCH):
        keys = [f"spillway:{{limit}}:v1:{prefix}{rule:031x}:60" for rule in range(rules)]
        keys += [f"{key}:reserved" for key in keys]
        arguments = [part for rule in range(rules) for part in (MUCH, WINDOWS[rule], 0, 0, 500, 1)]
        commands.append(encode("EVALSHA", digest_of(SCRIPT), 2 * rules, *keys, "", rules, 0, rules, f"lease-{index}", 30000, "", *arguments))
    return commands


def settling(prefix: str, rules: int, first: int) -> list:
    """What those came to: 300 tokens each."""
    commands = []
    for index in range(first, first + BATCH):
        keys = [f"spillway:{{limit}}:v1:settled:lease-{prefix}-{index}"]
        for rule in range(rules):
            key = f"spillway:{{limit}}:v1:{prefix}{rule:031x}:60"
            keys += [key, f"{key}:reserved"]
        arguments = [part for rule in range(rules) for part in (WINDOWS[rule], 500, 300)]
        commands.append(encode("EVALSHA", digest_of(SETTLE), len(keys), *keys, "", 15000, 0, f"lease-{index}", *arguments))
    return commands


def measure_reservations(redis: Redis, prefix: str, rules: int, calls: int) -> tuple:
    """Microseconds of a reservation, and of a settlement, which come in turn, 200 calls in flight."""
    ahead = 2 * BATCH
    for at in range(0, ahead, BATCH):
        redis.batch(reserving(prefix, rules, at))
    sums = [0.0, 0.0]
    for at in range(ahead, ahead + calls, BATCH):
        for place, batch in enumerate((reserving(prefix, rules, at), settling(prefix, rules, at - ahead))):
            redis.call("CONFIG", "RESETSTAT")
            redis.batch(batch)
            sums[place] += redis.microseconds_a_call("evalsha") * BATCH
    return sums[0] / calls, sums[1] / calls


def observing(at: int) -> list:
    """What calls have used, of buckets as they come."""
    key = "spillway:{usage}:v1:bench"
    return [encode("EVALSHA", digest_of(OBSERVE), 1, key, 40 + (at + index) % 30, 512, 604_800_000) for index in range(BATCH)]


def indexing(at: int) -> list:
    """Ten keys that are used, of 2,000."""
    index = "spillway:{limit}:v1:index"
    described = '{"api":"model/llm","rule":"default_rule","by":"limit_by_per_consumer","value":"dify","unit":"tokens","limit":500}'
    def one(number: int) -> bytes:
        names = [f"spillway:{{limit}}:v1:{(10 * number + place) % 2_000:032x}:60" for place in range(10)]
        return encode("EVALSHA", digest_of(INDEX), 2, index, f"{index}:used", "", 1_000, 172_800,
                      *[part for name in names for part in (name, described)])
    return [one(at + number) for number in range(BATCH)]


def reading(at: int) -> list:
    """Where a hundred limits stand that reserve."""
    keys = [f"spillway:{{limit}}:v1:g610{rule:031x}:60" for rule in range(100)]
    both = [part for key in keys for part in (key, f"{key}:reserved")]
    return [encode("EVALSHA", digest_of(READ), len(both), *both, "", *["reserved", MUCH, 60_000] * 100)] * BATCH


def fixed(rules: int) -> list:
    digest = digest_of(FIXED_WINDOW)
    keys = [f"fixed:{{limit}}:{rule}" for rule in range(rules)]
    return [encode("EVALSHA", digest, rules, *keys, *[MUCH, 60] * rules)] * BATCH


def measure(redis: Redis, pid: int, command: str, calls: int, batch) -> tuple:
    for at in range(0, 1000, BATCH):
        redis.batch(batch(at))
    redis.call("CONFIG", "RESETSTAT")
    cpu, start = cpu_seconds(pid), time.monotonic()
    for at in range(0, calls, BATCH):
        redis.batch(batch(at))
    took = time.monotonic() - start
    cpu = cpu_seconds(pid) - cpu
    return redis.microseconds_a_call(command), cpu * 1e6 / calls, calls / took


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calls", type=int, default=50_000)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    port = free_port()
    with tempfile.TemporaryDirectory() as folder:
        server = subprocess.Popen(
            ["redis-server", "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"],
            cwd=folder, stdout=subprocess.DEVNULL)
        try:
            wait_for(port)
            redis = Redis(port)
            for script in (SCRIPT, SETTLE, OBSERVE, INDEX, READ, FIXED_WINDOW):
                redis.call("SCRIPT", "LOAD", script)
            cases = {
                "1 rule, passes": ("evalsha", lambda at: sliding("a", 1, MUCH, at, 1)),
                "1 rule, passes, 10,000 values": ("evalsha", lambda at: sliding("b", 1, MUCH, at, 10_000)),
                "1 rule, refuses": ("evalsha", lambda at: sliding("c", 1, 1, at, 1)),
                "6 rules, pass": ("evalsha", lambda at: sliding("d", 6, MUCH, at, 1)),
                "6 rules, pass, 10,000 values": ("evalsha", lambda at: sliding("e", 6, MUCH, at, 10_000)),
                "6 rules, refuse": ("evalsha", lambda at: sliding("f", 6, 1, at, 1)),
                "what a call has used, observed": ("evalsha", observing),
                "index, 10 keys": ("evalsha", indexing),
                "100 limits read": ("evalsha", reading),
                "fixed window, 1 rule, passes": ("evalsha", lambda _: fixed(1)),
                "fixed window, 6 rules, pass": ("evalsha", lambda _: fixed(6)),
                "INCR": ("incr", lambda _: [encode("INCR", "plain")] * BATCH),
            }
            print(f"{arguments.calls} calls, median of {arguments.rounds} rounds; CPU microseconds of Redis a call")
            print(f"{'':32}{'script':>8}{'whole':>8}{'calls/s':>10}")
            for label, (command, batch) in cases.items():
                rounds = [measure(redis, server.pid, command, arguments.calls, batch) for _ in range(arguments.rounds)]
                script, whole, rate = (statistics.median(column) for column in zip(*rounds))
                print(f"{label:32}{script:8.1f}{whole:8.1f}{rate:10.0f}")
            for rules in (1, 6):
                rounds = [measure_reservations(redis, f"g{rules}{one}", rules, arguments.calls // 5) for one in range(arguments.rounds)]
                reserve, settle = (statistics.median(column) for column in zip(*rounds))
                label = f"{rules} rule{'s' if rules > 1 else ''} that reserve"
                print(f"{label:32}{reserve:8.1f}, and their settlement {settle:.1f}")
            for label, key in (("1 rule", "a"), ("1 rule, refused", "c")):
                name = f"spillway:{{limit}}:v1:{key}{0:032x}:60"
                print(f"memory of a count, {label}: {redis.call('MEMORY', 'USAGE', name)} bytes")
        finally:
            server.terminate()
            server.wait()


if __name__ == "__main__":
    main()
