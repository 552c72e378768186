#!/usr/bin/env python3
"""Many event streams at once through the ingress: whether any is dropped, and what they cost in memory and CPU time.

    bench/sse_streams.py [--streams 1000] [--seconds 60] [--gap-ms 500] [--spillway PATH] [--spin PATH_TO_SPIN]

The upstream, a process of its own, answers every run of an app with Dify's events, one every --gap-ms for --seconds;
the client counts them and looks at every stream's end. A stream is dropped when an event is missing or out of order,
or when it does not end as it should: with `message_end` and the last chunk. Memory and CPU time are the host's, from
/proc. Everything listens on loopback; every process is started and ended here.
"""

import argparse
import asyncio
import json
import os
import resource
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from side_by_side import add_spillway_option, cpu_seconds, free_port, gateway, wait_for

RUN = json.dumps({"inputs": {}, "query": "Count.", "response_mode": "streaming", "user": "bench"}).encode()
REQUEST = (b"POST /v1/chat-messages HTTP/1.1\r\nhost: gateway\r\nauthorization: Bearer app-bench\r\n"
           b"content-type: application/json\r\ncontent-length: %d\r\n\r\n%s" % (len(RUN), RUN))
OPENED_AT_ONCE = 64


def children(pid: int) -> list:
    """A process and all below it: Spin has several."""
    found = [pid]
    for current in found:
        try:
            for task in Path(f"/proc/{current}/task").iterdir():
                found += [int(child) for child in (task / "children").read_text().split()]
        except OSError:
            continue
    return found


def resident_kib(pid: int, field: str = "VmRSS") -> int:
    """Memory of a process and all below it; `VmHWM`: the most that each has held."""
    total = 0
    for current in children(pid):
        try:
            status = Path(f"/proc/{current}/status").read_text()
        except OSError:
            continue
        total += next((int(line.split()[1]) for line in status.splitlines() if line.startswith(f"{field}:")), 0)
    return total


def chunk(event: dict) -> bytes:
    data = b"data: %s\n\n" % json.dumps(event).encode()
    return b"%x\r\n%s\r\n" % (len(data), data)


async def answer(reader, writer, events: int, gap: float) -> None:
    """The upstream's side of one connection."""
    try:
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            lines = head.lower().split(b"\r\n")
            length = next((int(line.split(b":")[1]) for line in lines if line.startswith(b"content-length")), 0)
            await reader.readexactly(length)
            if head.startswith(b"GET "):
                writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}")
                continue
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n")
            begun = time.monotonic()
            for number in range(events):
                await asyncio.sleep(max(0.0, begun + number * gap - time.monotonic()))
                writer.write(chunk({"event": "message", "task_id": "t", "conversation_id": "c", "answer": f"{number} "}))
                await writer.drain()
            await asyncio.sleep(max(0.0, begun + events * gap - time.monotonic()))
            usage = {"prompt_tokens": 5, "completion_tokens": events, "total_tokens": events + 5}
            writer.write(chunk({"event": "message_end", "task_id": "t", "metadata": {"usage": usage}}) + b"0\r\n\r\n")
            await writer.drain()
    except (asyncio.IncompleteReadError, ConnectionError):
        writer.close()


async def upstream(port: int, events: int, gap: float) -> None:
    server = await asyncio.start_server(lambda reader, writer: answer(reader, writer, events, gap), "127.0.0.1", port,
                                        backlog=1024)
    await server.serve_forever()


async def warm_up(port: int) -> None:
    """What comes once, compiled code and the first instance, is not what is measured."""
    for _ in range(20):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET /v1/parameters HTTP/1.1\r\nhost: gateway\r\n\r\n")
        await reader.readuntil(b"{}")
        writer.close()


class Stream:
    """One stream, as its client sees it."""

    def __init__(self) -> None:
        self.events = 0
        self.fault = None

    async def read(self, port: int, opening: asyncio.Semaphore, opened: asyncio.Queue, events: int) -> None:
        told = False
        try:
            async with opening:
                reader, writer = await asyncio.open_connection("127.0.0.1", port)
                writer.write(REQUEST)
                head = await reader.readuntil(b"\r\n\r\n")
            status = head.split(b"\r\n")[0].decode()
            if " 200 " not in status:
                raise ValueError(f"answered with {status}")
            opened.put_nowait(None)
            told = True
            await self.read_events(reader, events)
            writer.close()
        except (OSError, ValueError, asyncio.IncompleteReadError) as error:
            self.fault = f"{type(error).__name__}: {error}"
        finally:
            if not told:
                opened.put_nowait(None)

    async def read_events(self, reader, events: int) -> None:
        ended, pending = False, b""
        while True:
            size = int((await reader.readline()).split(b";")[0], 16)
            pending += (await reader.readexactly(size + 2))[:size]
            *blocks, pending = pending.split(b"\n\n")
            for block in blocks:
                event = json.loads(block.removeprefix(b"data: "))
                if event["event"] == "message_end":
                    ended = True
                elif event["event"] != "message" or event["answer"] != f"{self.events} ":
                    raise ValueError(f"event {self.events} is {event}")
                else:
                    self.events += 1
            if size == 0:
                break
        if not ended or self.events != events or pending:
            raise ValueError(f"ended after {self.events} of {events} events")


async def measure(arguments) -> bool:
    gap = arguments.gap_ms / 1000
    events = max(1, round(arguments.seconds / gap))
    binary = arguments.spin or arguments.spillway
    if not Path(binary).exists():
        sys.exit(f"{binary} is not there: run ./scripts/up once")
    with tempfile.TemporaryDirectory() as name:
        upstream_port, port = free_port(), free_port()
        serving = subprocess.Popen([sys.executable, __file__, "--upstream", str(upstream_port),
                                    "--events", str(events), "--gap-ms", str(arguments.gap_ms)])
        process = gateway(Path(name), binary, port, upstream_port)
        try:
            await asyncio.to_thread(wait_for, upstream_port)
            await asyncio.to_thread(wait_for, port)
            opening, opened = asyncio.Semaphore(OPENED_AT_ONCE), asyncio.Queue()
            await warm_up(port)
            memory_before, cpu_before, begun = resident_kib(process.pid), cpu_seconds(process.pid), time.monotonic()
            streams = [Stream() for _ in range(arguments.streams)]
            reading = [asyncio.create_task(stream.read(port, opening, opened, events)) for stream in streams]
            for _ in streams:
                await opened.get()
            ramp = time.monotonic() - begun
            open_now = sum(not task.done() for task in reading)
            memory_open = resident_kib(process.pid)
            while not (await asyncio.wait(reading, timeout=1, return_when=asyncio.FIRST_COMPLETED))[0]:
                memory_open = max(memory_open, resident_kib(process.pid))
            await asyncio.gather(*reading)
            took, cpu = time.monotonic() - begun, cpu_seconds(process.pid) - cpu_before
            memory_after = resident_kib(process.pid)
        finally:
            for running in (process, serving):
                running.send_signal(signal.SIGTERM)
            for running in (process, serving):
                running.wait(40)
    faults = [stream.fault for stream in streams if stream.fault]
    received = sum(stream.events for stream in streams)
    print(f"{arguments.streams} streams of {arguments.seconds} s, an event every {arguments.gap_ms:g} ms each; "
          f"{os.cpu_count()} cores shared by client, gateway and upstream")
    print(f"open at once       {open_now}, the last {ramp:.1f} s after the first; all ended after {took:.1f} s")
    print(f"dropped            {len(faults)}" + "".join(f"\n  {fault}" for fault in sorted(set(faults))[:5]))
    print(f"events             {events * arguments.streams} expected, {received} received")
    print(f"memory (VmRSS)     {memory_before / 1024:.1f} MiB before, {memory_open / 1024:.1f} MiB at most with all open, "
          f"{memory_after / 1024:.1f} MiB after: {(memory_open - memory_before) / arguments.streams:.1f} KiB a stream")
    print(f"CPU                {cpu:.2f} s, {cpu / max(1, received) * 1e6:.1f} µs an event")
    return not faults


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--streams", type=int, default=1000)
    parser.add_argument("--seconds", type=float, default=60, help="how long each stream lasts")
    parser.add_argument("--gap-ms", type=float, default=500, help="between two events of a stream")
    add_spillway_option(parser)
    parser.add_argument("--spin", help="a `spin` binary to run on instead of the embedded host")
    parser.add_argument("--upstream", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--events", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    # Two sockets a stream, and the children inherit it.
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    if options.upstream:
        try:
            asyncio.run(upstream(options.upstream, options.events, options.gap_ms / 1000))
        except KeyboardInterrupt:
            sys.exit(0)
    sys.exit(0 if asyncio.run(measure(options)) else 1)
