#!/usr/bin/env python3
"""How long an event takes through the gateway: from leaving the upstream to reaching the client.

    bench/stream_latency.py [--events 20] [--gap-ms 50] [--streams 4] [--spillway PATH] [--spin PATH_TO_SPIN]

The upstream writes the clock's time into each event; client and upstream share the clock. Once through the ingress,
once through the model API, on the embedded host (or on Spin). Everything listens on loopback.
"""

import argparse
import asyncio
import json
import signal
import sys
import tempfile
import time
from pathlib import Path

from side_by_side import add_spillway_option, free_port, gateway, wait_for


async def upstream(reader, writer, events: int, gap: float) -> None:
    while True:
        try:
            head = await reader.readuntil(b"\r\n\r\n")
        except (asyncio.IncompleteReadError, asyncio.CancelledError, ConnectionError):
            writer.close()
            return
        length = next((int(line.split(b":")[1]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length")), 0)
        await reader.readexactly(length)
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n")
        for index in range(events):
            await asyncio.sleep(gap)
            finish = "stop" if index == events - 1 else None
            chunk = {"id": "1", "object": "chat.completion.chunk", "created": 1, "model": "m",
                     "choices": [{"index": 0, "delta": {"content": str(time.monotonic_ns())}, "finish_reason": finish}]}
            data = f"data: {json.dumps(chunk)}\n\n".encode()
            writer.write(b"%x\r\n%s\r\n" % (len(data), data))
        data = b"data: [DONE]\n\n"
        writer.write(b"%x\r\n%s\r\n0\r\n\r\n" % (len(data), data))
        await writer.drain()


async def client(port: int, path: str) -> list:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    body = b'{"model":"m","stream":true,"messages":[]}'
    writer.write(b"POST %s HTTP/1.1\r\nhost: gateway\r\nauthorization: Bearer sk-bench\r\ncontent-type: application/json\r\n"
                 b"content-length: %d\r\n\r\n%s" % (path.encode(), len(body), body))
    delays = []
    while True:
        line = await reader.readline()
        now = time.monotonic_ns()
        if b'"choices"' in line:
            content = json.loads(line[line.index(b"{"):])["choices"][0]["delta"]["content"]
            delays.append((now - int(content)) / 1e6)
        if b"[DONE]" in line or not line:
            writer.close()
            return delays


async def measure(arguments) -> None:
    binary = arguments.spin or arguments.spillway
    with tempfile.TemporaryDirectory() as name:
        upstream_port, port = free_port(), free_port()
        server = await asyncio.start_server(
            lambda reader, writer: upstream(reader, writer, arguments.events, arguments.gap_ms / 1000), "127.0.0.1", upstream_port)
        process = gateway(Path(name), binary, port, upstream_port)
        try:
            await asyncio.to_thread(wait_for, port)
            await client(port, "/v1/chat-messages")
            await client(port, "/llm/v1/chat/completions")
            print(f"{arguments.streams} streams at once of {arguments.events} events, {arguments.gap_ms} ms apart; "
                  "delay of an event in ms")
            for label, path in (("ingress", "/v1/chat-messages"), ("model", "/llm/v1/chat/completions")):
                results = await asyncio.gather(*(client(port, path) for _ in range(arguments.streams)))
                delays = sorted(delay for result in results for delay in result)
                if len(delays) != arguments.streams * arguments.events:
                    sys.exit(f"{label}: {len(delays)} events came")
                print(f"{label:8} median {delays[len(delays) // 2]:.2f}   p99 {delays[len(delays) * 99 // 100]:.2f}   max {delays[-1]:.2f}")
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(30)
            server.close()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--events", type=int, default=20)
    parser.add_argument("--gap-ms", type=float, default=50)
    parser.add_argument("--streams", type=int, default=4)
    add_spillway_option(parser)
    parser.add_argument("--spin", help="a `spin` binary to run on instead of the embedded host")
    asyncio.run(measure(parser.parse_args()))
