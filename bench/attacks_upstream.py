"""The stand-in for Dify and for model providers that bench/attacks.py puts behind the gateway; not run by itself.

One small server in a process of its own. It answers innocent requests at once, writes event streams at the pace that
the request asks for, and does to the gateway what a hostile or broken provider might.
"""

import asyncio
import json
import re
import time

from sse_streams import chunk as dify_chunk

HUGE_ANSWER_BYTES = 60 << 20
REPEATED_ERROR_BYTES = 50 << 20
# Of a body no more than its beginning is looked at; the rest is taken and thrown away.
LOOKED_AT_BYTES = 64 << 10
STREAM_HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"


def pace(events: int, gap: float) -> str:
    """What a request's text says to get so many events, `gap` seconds apart."""
    return f"events={events} gap={gap * 1000:.0f}"


PACE = re.compile(rb"events=(\d+) gap=(\d+)")


def answer(status: str, body: bytes) -> bytes:
    return b"HTTP/1.1 %s\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%s" % (status.encode(), len(body), body)


def chat_answer(text: str) -> bytes:
    return answer("200 OK", json.dumps({
        "id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": "m",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 20, "completion_tokens": 9, "total_tokens": 29}}).encode())


def model_chunk(data: dict | str) -> bytes:
    text = f"data: {data if isinstance(data, str) else json.dumps(data)}\n\n".encode()
    return b"%x\r\n%s\r\n" % (len(text), text)


class Upstream:
    """All that is answered, made once."""

    def __init__(self, is_hostile: bool):
        self.short = chat_answer("Hello!")
        self.parameters = answer("200 OK", b'{"opening_statement": ""}')
        self.unauthorized = answer("401 Unauthorized", b'{"code": "unauthorized", "message": "Access token is invalid", "status": 401}')
        self.uploaded = answer("201 Created", b'{"id": "f"}')
        if is_hostile:
            self.huge = chat_answer("word " * (HUGE_ANSWER_BYTES // 5))
            # What the client wrote, as providers repeat it; full of what a gateway takes away before it passes it on.
            words = "cannot read 10.0.0.7:8000 10.0.0 [fe80::1] fd00:1 at line 1, "
            said = words * (REPEATED_ERROR_BYTES // len(words))
            self.repeats = answer("400 Bad Request", json.dumps({"error": {"message": said, "type": "invalid_request_error"}}).encode())

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection."""
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                body = await self.read_body(reader, head.lower())
                await self.reply(writer, head, body)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    async def read_body(self, reader: asyncio.StreamReader, head: bytes) -> bytes:
        """The beginning of the body, all of which is read."""
        beginning = b""
        if b"\r\ntransfer-encoding:" in head:
            while size := int((await reader.readline()).split(b";")[0], 16):
                beginning = await self.read_bytes(reader, size, beginning)
                await reader.readexactly(2)
            await reader.readline()
            return beginning
        length = re.search(rb"\r\ncontent-length: *(\d+)", head)
        return await self.read_bytes(reader, int(length.group(1)) if length else 0, beginning)

    async def read_bytes(self, reader: asyncio.StreamReader, length: int, beginning: bytes) -> bytes:
        while length:
            piece = await reader.read(min(length, 1 << 20))
            if not piece:
                raise asyncio.IncompleteReadError(b"", length)
            length -= len(piece)
            beginning += piece[:LOOKED_AT_BYTES - len(beginning)]
        return beginning

    async def reply(self, writer: asyncio.StreamWriter, head: bytes, body: bytes) -> None:
        path = head.split(b" ", 2)[1]
        asked = PACE.search(body)
        if path.endswith(b"/parameters"):
            writer.write(self.unauthorized if b"Bearer app-random" in head else self.parameters)
        elif path.endswith(b"/files/upload"):
            writer.write(self.uploaded)
        elif asked:
            is_dify = path.endswith(b"/chat-messages")
            await self.stream(writer, is_dify, int(asked.group(1)), int(asked.group(2)) / 1000)
        elif re.search(rb'"model": *"huge"', body):
            await self.write_large(writer, self.huge)
        elif re.search(rb'"model": *"repeats"', body):
            await self.write_large(writer, self.repeats)
        else:
            writer.write(self.short)

    async def write_large(self, writer: asyncio.StreamWriter, data: bytes) -> None:
        """No faster than it is taken: what is not would be kept here."""
        for start in range(0, len(data), 1 << 18):
            writer.write(memoryview(data)[start:start + (1 << 18)])
            await writer.drain()

    async def stream(self, writer: asyncio.StreamWriter, is_dify: bool, events: int, gap: float) -> None:
        """Each event tells when it was sent, so that this server's own delays are not taken for the gateway's."""
        writer.write(STREAM_HEAD)
        begun = time.monotonic()
        for number in range(events):
            await asyncio.sleep(max(0.0, begun + number * gap - time.monotonic()))
            text = f"at={time.monotonic():.6f} "
            if is_dify:
                writer.write(dify_chunk({"event": "message", "task_id": "t", "conversation_id": "c", "answer": text}))
            else:
                writer.write(model_chunk({"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m",
                                          "choices": [{"index": 0, "delta": {"content": text}, "finish_reason": None}]}))
            await writer.drain()
        if is_dify:
            writer.write(dify_chunk({"event": "message_end", "task_id": "t", "metadata": {}}))
        else:
            writer.write(model_chunk({"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m",
                                      "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}) + model_chunk("[DONE]"))
        writer.write(b"0\r\n\r\n")


async def serve(port: int, is_hostile: bool, stop: asyncio.Event) -> None:
    upstream = Upstream(is_hostile)
    server = await asyncio.start_server(upstream.serve, "127.0.0.1", port, backlog=4096, limit=1 << 20)
    await stop.wait()
    server.close()
