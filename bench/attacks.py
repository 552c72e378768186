#!/usr/bin/env python3
"""What attackers can do to the gateway, and to everybody else on it: one line each, passed or failed.

    bench/attacks.py [--seconds 20] [--only NAME,…] [--spillway PATH] [--manifest PATH] [--spin PATH_TO_SPIN]
                     [--uploads 1500] [--streams 5000] [--calls 200] [--memory-mib 1024] [--json FILE] [-- FLAG …]

Each attack meets a gateway of its own. Attackers come from 127.0.0.2 (for `slots_streams` from 200 addresses), the
innocent from 127.0.0.1: health probes, requests to the agent API, calls of a model, and event streams. An attack lasts
--seconds from its full strength on; then is waited until all is well again. FLAGs go to `spillway up` or `spin up`.

What each is held to:
  slots_*   every health probe answered within 1 s, 99 % of the innocents' requests and streams served;
            `slots_streams`, which is no attack, also 99 % of its own
  near_names, regexp, error_message, tiny_members
            health p99 100 ms; no gap above 100 ms in an innocent stream of the model component; new calls p99 200 ms;
            memory at most --memory-mib above what it was before
  many_bodies, slow_readers
            with --memory-budget 512MiB: the same bound on memory, every health probe within 1 s, 99 % of the agent
            API's requests served
  random_app_keys
            at most --store-keys left in Redis 5 s after; health and innocents as under slots_*; needs redis-server
and all of them: no instance dies, the gateway does not end, all is well within 120 s.

Everything listens on loopback and is ended here. The machine is shared by gateway, attackers and clients: `own lag` is
how late the measuring process itself was, the quiet figures are those of the 3 s before the attack. Attackers give way
(nice 5) and the measuring process goes first where it may (nice -10).
"""

import argparse
import asyncio
import json
import multiprocessing
import os
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import attacks_clients
import attacks_innocents
import attacks_upstream
from attacks_innocents import REQUESTS
from attacks_verdict import Outcome, as_json, checks, figures, line
from limits import redis_cli, start_redis
from side_by_side import add_spillway_option, free_port, gateway, wait_for
from sse_streams import children, resident_kib

QUIET = 3.0
# After so long an attack counts as being at its full strength, whatever became of it.
LONGEST_APPROACH = 300.0
# Of the machine's memory so much is left alone: below it the gateway is killed and the attack has won.
SPARE_MIB = 1536
SIGNS_OF_DEATH = ("an instance died", "wasm trap", "wasm backtrace")
MODELS = ["gpt-4o", "gpt-4o-mini", "gpt-4.1", "gpt-4.1-mini", "o4-mini", "qwen-plus", "qwen-turbo", "qwen2.5-72b-instruct",
          "deepseek-v3", "deepseek-r1", "llama-3.3-70b-instruct", "text-embedding-3-large"]
PATTERN = "regexp:^(gpt|qwen|llama)[0-9.a-z-]*(instruct|chat)-(v[0-9]+|latest)$"


def config(upstream: int, hostile: int, redis: str, limited: bool) -> str:
    place = f"http://127.0.0.1:{upstream}"
    keys = [{"name": name, "credentials": [{"api_key": f"sk-{name}"}]} for name in ("innocent", "attacker")]
    api = {"max_body_size": "64MiB", "policies": {"auth": ["innocent", "attacker"]}}
    apps = [{"rule_name": "apps", "rule_items": [
        {"limit_by_per_dify_app": "", "limit_keys": [{"key": "*", "query_per_day": 100_000_000}]}]}]
    return json.dumps({
        "state": {"redis": redis}, "consumers": keys,
        # Without a plugin_daemon: what is below /e/ is 404.
        "agents": [{"name": "dify", "max_body_size": "100MiB", "services": {"api": place, "web": place},
                    "policies": {"rate_limits": apps if limited else []}}],
        "providers": [{"name": "good", "base_url": f"{place}/v1", "api_keys": ["sk-upstream"]},
                      {"name": "hostile", "base_url": f"http://127.0.0.1:{hostile}/v1", "api_keys": ["sk-upstream"]}],
        "models": [
            api | {"name": "llm", "routes": [
                {"name": "hostile", "match": {"model": ["huge", "repeats", "swallows"]}, "targets": [{"provider": "hostile"}]},
                {"name": "good", "match": {"model": ["m", *MODELS]}, "targets": [{"provider": "good"}]}]},
            api | {"name": "patterns", "base_path": "/llm/patterns", "routes": [
                {"name": "by-pattern", "match": {"model": [PATTERN]}, "targets": [{"provider": "good"}]}]}]})


# --- Processes


class Child:
    """A process of this script's: runs a coroutine function of (what it is told to stop by, a function that tells)."""

    CONTEXT = multiprocessing.get_context("fork")

    def __init__(self, nice: int, work):
        self.connection, theirs = self.CONTEXT.Pipe()
        self.process = self.CONTEXT.Process(target=self.run, args=(nice, work, theirs), daemon=True)
        self.process.start()
        theirs.close()

    @staticmethod
    def run(nice: int, work, connection) -> None:
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, signal.SIG_DFL)
        parent = os.getppid()
        try:
            os.nice(nice)
        except PermissionError:
            pass

        async def until_told() -> None:
            stop = asyncio.Event()
            loop = asyncio.get_running_loop()

            def read() -> None:
                loop.remove_reader(connection.fileno())
                stop.set()

            async def orphaned() -> None:
                while os.getppid() == parent:
                    await asyncio.sleep(1)
                os._exit(1)

            loop.add_reader(connection.fileno(), read)
            watching = asyncio.create_task(orphaned())
            connection.send(await work(stop, connection.send))
            watching.cancel()

        asyncio.run(until_told())

    def told(self, seconds: float):
        """What it has sent, if anything comes within so long."""
        try:
            return self.connection.recv() if self.connection.poll(seconds) else None
        except EOFError:
            sys.exit("a process of this script's has ended too early")

    def stop(self) -> None:
        try:
            self.connection.send("stop")
        except BrokenPipeError:
            sys.exit("a process of this script's has ended too early")

    def end(self) -> None:
        self.process.terminate()
        self.process.join(5)
        if self.process.is_alive():
            self.process.kill()


def attack_child(name: str, port: int, options) -> Child:
    async def work(stop: asyncio.Event, tell):
        attack = attacks_clients.Attack(port, options, lambda: tell("at strength"))
        attacking = asyncio.create_task(attacks_clients.ATTACKS[name](attack))
        waiting = asyncio.create_task(stop.wait())
        await asyncio.wait([attacking, waiting], return_when=asyncio.FIRST_COMPLETED)
        if attacking.done():
            attacking.result()
        # The process ends with all its connections as they are, as an attacker that is cut off.
        return attack.result()

    return Child(5, work)


def innocents_child(port: int) -> Child:
    return Child(-10, lambda stop, _: attacks_innocents.Innocents(port).run(stop))


def upstream_child(port: int, is_hostile: bool) -> Child:
    async def work(stop: asyncio.Event, _):
        await attacks_upstream.serve(port, is_hostile, stop)

    return Child(5 if is_hostile else -10, work)


class Watch:
    """Samples the gateway's memory, and kills it before the machine has none left."""

    def __init__(self, process: subprocess.Popen):
        self.process, self.running = process, True
        self.idle_kib, self.peak_kib, self.last_kib, self.starved = 0, 0, 0, False
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self) -> None:
        while self.running and self.process.poll() is None:
            self.last_kib = resident_kib(self.process.pid)
            # The marks of several processes need not be of one moment, but all of Spin's others are small.
            self.peak_kib = max(self.peak_kib, self.last_kib, resident_kib(self.process.pid, "VmHWM"))
            if available_mib() < SPARE_MIB:
                self.starved = True
                for pid in reversed(children(self.process.pid)):
                    os.kill(pid, signal.SIGKILL)
            time.sleep(0.1)

    def begin(self) -> None:
        """What the gateway held at its start, when components are compiled, is not what an attack took."""
        for pid in children(self.process.pid):
            try:
                Path(f"/proc/{pid}/clear_refs").write_text("5")  # proc(5): VmHWM becomes VmRSS
            except OSError as error:
                print(f"peaks include the start's: {error}", file=sys.stderr)
        self.idle_kib = self.peak_kib = resident_kib(self.process.pid)

    def stop(self) -> None:
        self.running = False
        self.thread.join()


def available_mib() -> int:
    lines = Path("/proc/meminfo").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("MemAvailable:")) // 1024


def wait_until_live(process: subprocess.Popen, port: int, log: Path) -> None:
    wait_for(port)
    deadline = time.monotonic() + 180
    while time.monotonic() < deadline and process.poll() is None:
        asked = {kind: asyncio.run(attacks_innocents.Innocents(port).once(kind)) for kind in REQUESTS}
        if not any(asked.values()):
            return
        time.sleep(0.1)
    sys.exit(f"the gateway does not serve: {asked}\n{log.read_text(errors='replace')[-2000:]}")


# --- One attack


class Store:
    """What Redis holds."""

    def __init__(self, port: int):
        self.port, self.first = port, (0, 0)
        self.first = self.more()

    def more(self) -> tuple:
        """Keys and bytes, beyond those at the beginning."""
        used = next(line for line in redis_cli(self.port, "info", "memory").splitlines() if line.startswith("used_memory:"))
        return int(redis_cli(self.port, "dbsize")) - self.first[0], int(used.split(":")[1]) - self.first[1]


def carry_out(name: str, folder: Path, options) -> Outcome:
    running, watch = [], None
    port, good, hostile = free_port(), free_port(), free_port()
    log = folder / f"gateway-{port}.log"
    process = redis = None
    try:
        running += [upstream_child(good, False), upstream_child(hostile, True)]
        limited = name == "random_app_keys"
        redis_port = free_port() if limited else 0
        redis = start_redis(redis_port) if limited else None
        wait_for(good)
        wait_for(hostile)
        text = config(good, hostile, f"redis://127.0.0.1:{redis_port}" if limited else "", limited)
        flags = tuple(options.flags)
        if name in ("many_bodies", "slow_readers") and not options.spin and not any(flag.startswith("--memory-budget") for flag in flags):
            flags = ("--memory-budget", "512MiB", *flags)
        process = gateway(folder, options.spin or options.spillway, port, good, text, flags, options.manifest)
        wait_until_live(process, port, log)
        watch = Watch(process)
        innocents = innocents_child(port)
        running.append(innocents)
        begun = time.monotonic()
        time.sleep(QUIET)
        store = Store(redis_port) if limited else None
        watch.begin()
        attacked = time.monotonic()
        attacker = attack_child(name, port, options)
        running.append(attacker)
        attacker.told(LONGEST_APPROACH)
        deadline = time.monotonic() + options.seconds
        while time.monotonic() < deadline and process.poll() is None:
            time.sleep(0.1)
        attacker.stop()
        counted = attacker.told(30) or {"answers": {"the attacker did not answer": 1}, "held_at_most": 0, "opened": 0}
        if counted == "at strength":
            counted = attacker.told(30)
        attacker.end()
        over = time.monotonic()
        innocents.stop()
        at_end = store.more() if store else None
        time.sleep(5 if store else 0)
        left = store.more() if store else None
        seen = innocents.told(attacks_innocents.WELL_AFTER + 2 * attacks_innocents.PATIENCE)
        watch.stop()
        ended = None
        if watch.starved:
            ended = "as the machine ran out of memory"
        elif process.poll() is not None:
            ended = f"with {process.returncode}"
        text = log.read_text(errors="replace")
        mib = 1 << 20
        outcome = Outcome(
            name=name, quiet=figures(seen, begun + 0.5, attacked), during=figures(seen, attacked, over), attack=counted,
            seconds=over - attacked, well_after=seen["well_after"],
            memory_mib={"idle": watch.idle_kib / 1024, "peak": watch.peak_kib / 1024, "after": watch.last_kib / 1024},
            deaths=sum(text.count(sign) for sign in SIGNS_OF_DEATH), gateway_ended=ended,
            store={"keys_at_end": at_end[0], "mib_at_end": at_end[1] / mib, "keys_left": left[0], "mib_left": left[1] / mib} if store else None)
        outcome.checks = checks(outcome, options)
        return outcome
    finally:
        if watch:
            watch.stop()
        for child in reversed(running):
            child.end()
        for server in (process, redis):
            if server and server.poll() is None:
                end(server)


def end(process: subprocess.Popen) -> None:
    """A gateway that an attack has frozen does not hear."""
    below = children(process.pid)
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        for pid in reversed(below):
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        process.wait(10)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=20, help="how long each attack lasts, from its full strength on; the issue asks for 180 of the slot attacks")
    parser.add_argument("--only", metavar="NAMES", help=f"of {','.join(attacks_clients.ATTACKS)}")
    parser.add_argument("--uploads", type=int, default=1500, help="slow uploads of slots_uploads")
    parser.add_argument("--streams", type=int, default=5000, help="open streams of slots_streams")
    parser.add_argument("--calls", type=int, default=200, help="short calls for each of those streams")
    parser.add_argument("--memory-mib", type=float, default=1024, help="how much memory may grow")
    parser.add_argument("--store-keys", type=int, default=1000, help="how many keys random_app_keys may leave in Redis")
    parser.add_argument("--json", metavar="FILE", help="write the figures there; times are seconds")
    add_spillway_option(parser)
    parser.add_argument("--manifest", metavar="PATH", help="the spin.toml, its components below the `target` beside it [default: this repository's]")
    parser.add_argument("--spin", metavar="PATH", help="a `spin` binary to run on instead of the embedded host")
    parser.add_argument("flags", nargs="*", metavar="-- FLAG", help="further arguments of `up`")
    options = parser.parse_args()
    names = options.only.split(",") if options.only else list(attacks_clients.ATTACKS)
    if unknown := set(names) - set(attacks_clients.ATTACKS):
        parser.error(f"no attack is called {', '.join(sorted(unknown))}")
    if not Path(options.spin or options.spillway).exists():
        sys.exit(f"{options.spin or options.spillway} is not there: run ./scripts/up once")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    # Sockets of thousands of streams, in the gateway and in what is started here, which inherit it.
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    outcomes = []
    with tempfile.TemporaryDirectory() as folder:
        for name in names:
            if name == "random_app_keys" and not (shutil.which("redis-server") and shutil.which("redis-cli")):
                print(f"SKIP {name}: there is no redis-server", flush=True)
                continue
            outcomes.append(carry_out(name, Path(folder), options))
            print(line(outcomes[-1]), flush=True)
            if options.json:
                Path(options.json).write_text(json.dumps({"cores": os.cpu_count(), "attacks": [as_json(each) for each in outcomes]}, indent=1) + "\n")
    failed = [outcome.name for outcome in outcomes if not outcome.passed]
    print(f"{len(outcomes) - len(failed)} of {len(outcomes)} passed" + (f"; failed: {', '.join(failed)}" if failed else ""))
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
