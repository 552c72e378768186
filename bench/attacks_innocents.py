"""The innocent clients of bench/attacks.py, and what they see; not run by itself.

They run in a process of their own, from 127.0.0.1: health probes, small requests to the agent API and to a model, and
event streams. Requests begin at a fixed pace whether or not earlier ones have been answered, so that a freeze is seen by
all that would have come in it.
"""

import asyncio
import json
import re
import time

from attacks_upstream import pace

# Seconds from one request of a kind to the next.
EVERY = 0.05
# After so long a request is given up.
PATIENCE = 30.0
# So fast must requests be answered again before all is well, for so long, after at most so long.
WELL_WITHIN, WELL_FOR, WELL_AFTER = 1.0, 2.0, 120.0
# An innocent stream: short, so that one always began a moment ago, in the instance that takes requests now.
EVENT_GAP, STREAM_EVENTS = 0.02, 150
STREAMS = {"model stream": 3, "agent stream": 2}
TICK = 0.01

SENT_AT = re.compile(rb"at=(\d+\.\d{6}) ")


def request(method: str, path: str, headers: dict, body: dict | None = None) -> bytes:
    data = b"" if body is None else json.dumps(body).encode()
    own = {"host": "gateway", "connection": "close"}
    if body is not None:
        own |= {"content-type": "application/json", "content-length": str(len(data))}
    lines = [f"{method} {path} HTTP/1.1", *(f"{name}: {value}" for name, value in (own | headers).items())]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + data


def chat(model: str, text: str, stream: bool) -> dict:
    return {"model": model, "stream": stream, "messages": [{"role": "user", "content": text}]}


AGENT_KEY, MODEL_KEY = {"authorization": "Bearer app-innocent"}, {"authorization": "Bearer sk-innocent"}
PACED = pace(STREAM_EVENTS, EVENT_GAP)
REQUESTS = {
    "health": request("GET", "/_gateway/health/live", {}),
    "agent": request("GET", "/v1/parameters", AGENT_KEY),
    "model": request("POST", "/llm/v1/chat/completions", MODEL_KEY, chat("m", "Hello.", False)),
}
STREAM_REQUESTS = {
    "model stream": request("POST", "/llm/v1/chat/completions", MODEL_KEY, chat("m", PACED, True)),
    "agent stream": request("POST", "/v1/chat-messages", AGENT_KEY,
                            {"inputs": {}, "query": PACED, "response_mode": "streaming", "user": "innocent"}),
}


class Innocents:
    """What was asked and how it went: `samples` of (kind, begun, took, None or the fault), `gaps` of (kind, when, long)."""

    def __init__(self, port: int):
        self.port = port
        self.samples, self.gaps, self.lags = [], [], []
        self.under_way, self.tasks = {}, set()

    async def run(self, over: asyncio.Event) -> dict:
        """Until all is well after `over`, or `WELL_AFTER`. Times are those of the monotonic clock."""
        loops = [self.ask_steadily(kind, offset * EVERY / len(REQUESTS)) for offset, kind in enumerate(REQUESTS)]
        loops += [self.stream_steadily(kind, STREAM_EVENTS * EVENT_GAP * number / count)
                  for kind, count in STREAMS.items() for number in range(count)]
        running = [asyncio.create_task(loop) for loop in [*loops, self.watch_own_lag()]]
        await over.wait()
        ended = time.monotonic()
        while not self.is_well(ended) and time.monotonic() < ended + WELL_AFTER:
            await asyncio.sleep(TICK)
        recovered = self.is_well(ended)
        bad = [begun + took for _, begun, took, fault in self.samples if (fault or took > WELL_WITHIN) and begun + took > ended]
        for task in [*running, *self.tasks]:
            task.cancel()
        await asyncio.wait([*running, *self.tasks], timeout=5)
        return {"samples": self.samples, "gaps": self.gaps, "lags": self.lags,
                "well_after": max([0.0, *(at - ended for at in bad)]) if recovered else None}

    async def once(self, kind: str) -> str | None:
        """One request; what was wrong."""
        return await self.timed(kind, lambda: self.ask(REQUESTS[kind]))

    def is_well(self, ended: float) -> bool:
        now = time.monotonic()
        if now < ended + WELL_FOR or any(begun < now - WELL_WITHIN for begun in self.under_way.values()):
            return False
        recent = [sample for sample in self.samples if sample[1] + sample[2] > now - WELL_FOR]
        return {sample[0] for sample in recent} >= set(REQUESTS) and all(fault is None and took <= WELL_WITHIN
                                                                        for _, _, took, fault in recent)

    async def watch_own_lag(self) -> None:
        """How late this process itself is: what it measures is as much too long."""
        due = time.monotonic()
        while True:
            due = max(due + TICK, time.monotonic())
            await asyncio.sleep(due - time.monotonic())
            self.lags.append((time.monotonic(), time.monotonic() - due))

    async def ask_steadily(self, kind: str, offset: float) -> None:
        due = time.monotonic() + offset
        while True:
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            task = asyncio.create_task(self.once(kind))
            self.tasks.add(task)
            task.add_done_callback(self.tasks.discard)
            due += EVERY

    async def timed(self, kind: str, ask) -> str | None:
        """Keeps how long it took and what was wrong with it, and gives the latter."""
        begun, key = time.monotonic(), object()
        self.under_way[key] = begun
        try:
            async with asyncio.timeout(PATIENCE):
                fault = await ask()
        except TimeoutError:
            fault = f"nothing within {PATIENCE:.0f} s"
        except (OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError) as error:
            fault = type(error).__name__
        finally:
            del self.under_way[key]
        self.samples.append((kind, begun, time.monotonic() - begun, fault))
        return fault

    async def ask(self, wanted: bytes) -> str | None:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        try:
            writer.write(wanted)
            head = await reader.readuntil(b"\r\n\r\n")
            length = re.search(rb"\r\ncontent-length: *(\d+)", head.lower())
            await (reader.readexactly(int(length.group(1))) if length else reader.read())
        finally:
            writer.close()
        return status_fault(head)

    async def stream_steadily(self, kind: str, offset: float) -> None:
        await asyncio.sleep(offset)
        while True:
            begun = time.monotonic()
            await self.stream(kind)
            await asyncio.sleep(max(0.0, begun + 1.0 - time.monotonic()))

    async def stream(self, kind: str) -> None:
        """One stream: its opening is a sample, and so is its end where it breaks."""
        held = {}

        async def opening() -> str | None:
            held["reader"], held["writer"] = await asyncio.open_connection("127.0.0.1", self.port)
            held["writer"].write(STREAM_REQUESTS[kind])
            return status_fault(await held["reader"].readuntil(b"\r\n\r\n"))

        try:
            if await self.timed(kind, opening) is None:
                await self.follow(kind, held["reader"])
        finally:
            if "writer" in held:
                held["writer"].close()

    async def follow(self, kind: str, reader: asyncio.StreamReader) -> None:
        last = time.monotonic()
        pending, events, sent, is_at_end, fault = b"", 0, 0.0, False, None
        try:
            while not (is_at_end and pending.endswith(b"0\r\n\r\n")):
                async with asyncio.timeout(PATIENCE):
                    piece = await reader.read(1 << 16)
                if not piece:
                    break
                now, read_to = time.monotonic(), 0
                pending += piece
                for found in SENT_AT.finditer(pending):
                    if events:
                        # The upstream's own lateness is none of the gateway's.
                        late = max(0.0, float(found.group(1)) - sent - EVENT_GAP)
                        self.gaps.append((kind, now, now - last - late))
                    events, last, sent, read_to = events + 1, now, float(found.group(1)), found.end()
                pending = pending[read_to:]
                is_at_end = is_at_end or b"[DONE]" in pending or b"message_end" in pending
            if not is_at_end or events != STREAM_EVENTS:
                fault = f"broke off after {events} of {STREAM_EVENTS} events"
        except TimeoutError:
            fault = f"silent for {PATIENCE:.0f} s"
        except OSError as error:
            fault = type(error).__name__
        finally:
            self.gaps.append((kind, time.monotonic(), time.monotonic() - last))
        if fault:
            self.samples.append((kind, last, time.monotonic() - last, fault))


def status_fault(head: bytes) -> str | None:
    status = head.split(b" ", 2)[1].decode()
    return None if status == "200" else status
