"""What the attackers of bench/attacks.py do; not run by itself.

Each attack is a coroutine that goes on until it is told to stop. They run in a process of their own, which gives way to
all others (`nice`), as attackers do that have machines of their own.
"""

import asyncio
import collections
import json
import re
import socket
import time

from attacks_innocents import chat, request
from attacks_upstream import pace

# Attackers connect from here, so that limits by client address do not meet the innocent, who come from 127.0.0.1.
ATTACKER = "127.0.0.2"
# Many clients, a few streams each.
MANY_CLIENTS = [f"127.0.1.{number}" for number in range(1, 201)]
MODEL_KEY = {"authorization": "Bearer sk-attacker"}
# Of a large body so many are in flight at once, and each of them begins no sooner than this after the one before it.
AT_ONCE, PAUSE = 3, 2.0
MIB = 1 << 20
# An instance takes 128 requests: one that stays, and these. On one connection: side by side they would reach several
# instances, some of which no upload keeps.
SHORT_CALLS_AN_UPLOAD = 127
# So many clients guess keys.
GUESSING = 16
BIND_WITHOUT_PORT = 24  # IP_BIND_ADDRESS_NO_PORT of ip(7): the port is chosen when the other end is known
STATUS = re.compile(rb"HTTP/1\.1 (\d{3})")


class Attack:
    """What all attackers share: where to, when to stop, and what came of it."""

    def __init__(self, port: int, options, at_strength):
        self.port, self.options = port, options
        self.tell_at_strength = at_strength
        self.answers, self.held, self.held_at_most, self.opened = collections.Counter(), 0, 0, 0

    def at_strength(self) -> None:
        """From now on it counts."""
        self.tell_at_strength()

    def count(self, what: str, number: int = 1) -> None:
        self.answers[what] += number

    def result(self) -> dict:
        return {"answers": dict(self.answers), "held_at_most": self.held_at_most, "opened": self.opened}

    def socket(self, source: str = ATTACKER, receive_buffer: int = 0) -> socket.socket:
        connection = socket.socket()
        connection.setblocking(False)
        connection.setsockopt(socket.IPPROTO_IP, BIND_WITHOUT_PORT, 1)
        if receive_buffer:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        connection.bind((source, 0))
        return connection

    async def connect(self, protocol: asyncio.Protocol, source: str = ATTACKER) -> asyncio.Transport:
        """A connection that this protocol reads."""
        loop, connection = asyncio.get_running_loop(), self.socket(source)
        try:
            async with asyncio.timeout(10):
                await loop.sock_connect(connection, ("127.0.0.1", self.port))
            return (await loop.create_connection(lambda: protocol, sock=connection))[0]
        except OSError:
            connection.close()
            raise

    async def send_large(self, wanted: bytes, body: bytes = b"", slowly: bool = False) -> None:
        """One request with a body of any size, and its whole answer, which may come before all is sent."""
        loop = asyncio.get_running_loop()
        with self.socket(receive_buffer=4096 if slowly else 0) as connection:
            sending = None
            try:
                await loop.sock_connect(connection, ("127.0.0.1", self.port))
                await loop.sock_sendall(connection, wanted)
                sending = asyncio.create_task(loop.sock_sendall(connection, memoryview(body)))
                sending.add_done_callback(lambda task: task.cancelled() or task.exception())
                status = STATUS.match(await loop.sock_recv(connection, 1 << 12))
                self.count(status.group(1).decode() if status else "closed")
                self.held += 1
                self.held_at_most = max(self.held, self.held_at_most)
                try:
                    while await loop.sock_recv(connection, 1 << (14 if slowly else 20)):
                        if slowly:
                            await asyncio.sleep(1)
                finally:
                    self.held -= 1
            except OSError as error:
                self.count(type(error).__name__)
            finally:
                if sending:
                    sending.cancel()

    async def again_and_again(self, wanted: bytes, body: bytes, delay: float) -> None:
        """One of those that send large bodies."""
        await asyncio.sleep(delay)
        while True:
            begun = time.monotonic()
            self.opened += 1
            await self.send_large(wanted, body)
            await asyncio.sleep(max(0.05, begun + PAUSE - time.monotonic()))


class Lane(asyncio.Protocol):
    """A kept connection on which requests are sent without waiting for the answers."""

    def __init__(self, attack: Attack, source: str):
        self.attack, self.source = attack, source
        self.transport, self.tail, self.left, self.done = None, b"", 0, None

    def data_received(self, data: bytes) -> None:
        text, end = self.tail + data, 0
        for found in STATUS.finditer(text):
            end = found.end()
            self.left -= 1
            self.attack.count(found.group(1).decode())
        self.tail = text[end:][-16:]
        if self.left <= 0:
            self.finish()

    def connection_lost(self, error) -> None:
        if self.left > 0:
            self.attack.count("closed", self.left)
        self.transport, self.tail = None, b""
        self.finish()

    def finish(self) -> None:
        if self.done and not self.done.done():
            self.done.set_result(None)

    async def burst(self, wanted: bytes, count: int) -> None:
        """Sends so many and waits for the answers, 30 s at most."""
        try:
            if self.transport is None:
                self.transport = await self.attack.connect(self, self.source)
            self.left, self.done = count, asyncio.get_running_loop().create_future()
            self.transport.write(wanted * count)
            async with asyncio.timeout(30):
                await self.done
        except TimeoutError:
            self.attack.count("no answer", self.left)
            self.left = 0
            if self.transport:
                self.transport.abort()
        except OSError as error:
            self.attack.count(f"connect: {type(error).__name__}", count)
            await asyncio.sleep(0.02)


class Held(asyncio.Protocol):
    """A request that does not come to its end; where an answer says that it has, it is given up."""

    def __init__(self, attack: Attack):
        self.attack, self.status, self.transport = attack, None, None
        self.began, self.ended = (asyncio.get_running_loop().create_future() for _ in range(2))

    def connection_made(self, transport) -> None:
        self.transport = transport
        self.attack.held += 1
        self.attack.held_at_most = max(self.attack.held_at_most, self.attack.held)

    def data_received(self, data: bytes) -> None:
        if self.status is None:
            status = STATUS.match(data)
            self.status = status.group(1).decode() if status else "?"
            self.attack.count(f"held: {self.status}")
            if self.status != "200":
                self.transport.close()
        self.begin()

    def connection_lost(self, error) -> None:
        self.attack.held -= 1
        if self.status is None:
            self.attack.count("held: closed")
        self.begin()
        self.ended.set_result(None)

    def begin(self) -> None:
        if not self.began.done():
            self.began.set_result(None)


async def take_slots(attack: Attack, count: int, short: bytes, calls: int, sources: list, hold) -> None:
    """Holds `count` requests, each followed by `calls` short ones, then holds on and replaces those that are lost.

    One after the other: two held requests in one instance would take one slot between them.
    """
    lane = Lane(attack, sources[0])
    ended = collections.deque()

    async def one(number: int) -> None:
        attack.opened += 1
        try:
            held = await hold(sources[number % len(sources)])
            held.ended.add_done_callback(lambda _: ended.append(number))
        except OSError as error:
            attack.count(f"held: {type(error).__name__}")
            ended.append(number)
        await lane.burst(short, calls)

    for number in range(count):
        await one(number)
    attack.at_strength()
    while True:
        if ended:
            await one(ended.popleft())
        await asyncio.sleep(0.05)


async def slots_uploads(attack: Attack) -> None:
    """Uploads of which one byte has come, then another every 5 s, each with 127 requests that are 404."""
    head = b"POST /v1/files/upload HTTP/1.1\r\nhost: gateway\r\ncontent-type: application/octet-stream\r\ncontent-length: 100000\r\n\r\nx"
    uploads = set()

    async def hold(source: str) -> Held:
        held = Held(attack)
        transport = await attack.connect(held, source)
        transport.write(head)
        uploads.add(transport)
        held.ended.add_done_callback(lambda _: uploads.discard(transport))
        # It is to be with its instance before the short ones are.
        await asyncio.sleep(0.002)
        return held

    async def drip() -> None:
        while True:
            await asyncio.sleep(5)
            for transport in list(uploads):
                transport.write(b"x")

    not_found = b"GET /e/nothing HTTP/1.1\r\nhost: gateway\r\n\r\n"
    dripping = asyncio.create_task(drip())
    try:
        await take_slots(attack, attack.options.uploads, not_found, SHORT_CALLS_AN_UPLOAD, [ATTACKER], hold)
    finally:
        dripping.cancel()


async def slots_streams(attack: Attack) -> None:
    """No attack at all: open chat streams of many clients, an event every 10 s in each, and short calls beside them."""
    text = pace(1_000_000, 10)
    wanted = request("POST", "/llm/v1/chat/completions", MODEL_KEY | {"connection": "keep-alive"}, chat("m", text, True))
    short = request("GET", "/llm/v1/models", MODEL_KEY | {"connection": "keep-alive"})

    async def hold(source: str) -> Held:
        held = Held(attack)
        (await attack.connect(held, source)).write(wanted)
        await asyncio.wait([held.began], timeout=10)
        return held

    await take_slots(attack, attack.options.streams, short, attack.options.calls, MANY_CLIENTS, hold)


def upload_head(path: str, body: bytes) -> bytes:
    return request("POST", path, MODEL_KEY | {"content-type": "application/json", "content-length": str(len(body))})


async def large_bodies(attack: Attack, body: bytes, path: str = "/llm/v1/chat/completions", at_once: int = AT_ONCE) -> None:
    head = upload_head(path, body)
    attack.at_strength()
    await asyncio.gather(*(attack.again_and_again(head, body, PAUSE * number / at_once) for number in range(at_once)))


async def near_names(attack: Attack) -> None:
    """A `model` of 60 MiB that nobody serves: names that are near to it are looked for."""
    name = "any-model-there-is-" * (60 * MIB // 19)
    await large_bodies(attack, json.dumps(chat(name, "Hello.", False)).encode())


async def regexp(attack: Attack) -> None:
    """A `model` of 16 MiB against a route's `regexp:`."""
    name = "qwen2.5-instruct-" * (16 * MIB // 17)
    await large_bodies(attack, json.dumps(chat(name, "Hello.", False)).encode(), "/llm/patterns/v1/chat/completions")


async def error_message(attack: Attack) -> None:
    """A provider that repeats 50 MiB in `error.message`."""
    await large_bodies(attack, json.dumps(chat("repeats", "Hello.", False)).encode())


def tiny(size: int) -> bytes:
    """A request of `size` bytes, all but the end of which are members of five."""
    end = json.dumps(chat("swallows", "Hello.", False)).encode()[1:]
    return b"{" + b'"":0,' * ((size - len(end)) // 5) + end


async def tiny_members(attack: Attack) -> None:
    """60 MiB of `"":0,`."""
    await large_bodies(attack, tiny(60 * MIB))


async def many_bodies(attack: Attack) -> None:
    """16 bodies of 62 MiB of tiny members at once."""
    await large_bodies(attack, tiny(62 * MIB), at_once=16)


async def slow_readers(attack: Attack) -> None:
    """20 clients that read 16 KiB a second of answers of 60 MiB."""
    body = json.dumps(chat("huge", "Hello.", False)).encode()
    head = upload_head("/llm/v1/chat/completions", body)

    async def read_slowly() -> None:
        while True:
            attack.opened += 1
            await attack.send_large(head, body, slowly=True)
            await asyncio.sleep(1)

    attack.at_strength()
    await asyncio.gather(*(read_slowly() for _ in range(20)))


async def random_app_keys(attack: Attack) -> None:
    """Keys of apps that there are not, as fast as they are refused."""
    attack.at_strength()

    async def guess(lane: Lane, number: int) -> None:
        made = 0
        while True:
            made += 1
            key = {"authorization": f"Bearer app-random-{number}-{made}", "connection": "keep-alive"}
            attack.opened += 1
            await lane.burst(request("GET", "/v1/parameters", key), 1)

    await asyncio.gather(*(guess(Lane(attack, ATTACKER), number) for number in range(GUESSING)))


ATTACKS = {attack.__name__: attack for attack in (
    slots_uploads, slots_streams, near_names, regexp, error_message, tiny_members, many_bodies, slow_readers, random_app_keys)}
