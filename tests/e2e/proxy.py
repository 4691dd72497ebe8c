"""A proxy before the API server that loses, cuts, delays and repeats requests, or stops passing bytes on. TLS on both sides, HTTP/1.1."""

import asyncio
import base64
import contextlib
import json
import random
import re
import ssl
import subprocess
import threading
import time
import urllib.parse

import yaml

LIMIT = 1 << 24
GARBAGE = b"HTTP/1.1 502 Bad Gateway\r\nContent-Type: text/html\r\nContent-Length: 13\r\n\r\n<html></html>"

# Faults of a request. "zombie": the client sees its connection cut, and the request arrives later.
FATES = ("lost-request", "lost-answer", "cut", "slow", "slow-answer", "twice", "late-twice", "zombie", "garbage")


def make_certificate(directory):
    command = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=proxy"
    files = ["-addext", "subjectAltName=IP:127.0.0.1", "-keyout", directory / "proxy.key", "-out", directory / "proxy.crt"]
    subprocess.run([*command.split(), *files], check=True, capture_output=True)


class Cut(Exception):
    """Raised to end a connection."""


class Proxy:
    def __init__(self, kubeconfig, directory):
        """Rewrites KUBECONFIG, so that its users come through this proxy."""
        self.share, self.fates, self.hits = 0.0, FATES, dict.fromkeys(FATES, 0)
        self.random = random.Random(1)
        self.arrivals = []  # of requests, by time.monotonic()
        self.refusals = []  # for the next requests: (pattern of the request's first line, the answer)
        self.is_mute = False
        self.secret_delay, self.secret_gets = 0, 0  # before a GET of a Secret; None: for ever
        self.muted = set()
        self.connections = set()  # their tasks
        make_certificate(directory)
        config = yaml.safe_load(kubeconfig.read_text())
        cluster = config["clusters"][0]["cluster"]
        server = urllib.parse.urlparse(cluster["server"])
        self.upstream = (server.hostname, server.port)
        ca = base64.b64decode(cluster["certificate-authority-data"]).decode()
        self.upstream_tls = ssl.create_default_context(cadata=ca)
        self.use_certificate(directory)
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self.thread.start()
        self.port = 0
        self.listen()
        cluster["server"] = f"https://127.0.0.1:{self.port}"
        cluster["certificate-authority-data"] = base64.b64encode((directory / "proxy.crt").read_bytes()).decode()
        kubeconfig.write_text(yaml.safe_dump(config))

    def _run(self, coroutine):
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result(20)

    def use_certificate(self, directory):
        """Takes the certificate of make_certificate() when it listens the next time. Earlier TLS sessions cannot be resumed."""
        self.tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        self.tls.load_cert_chain(directory / "proxy.crt", directory / "proxy.key")

    def listen(self):
        self.server = self._run(asyncio.start_server(self._serve, "127.0.0.1", self.port, ssl=self.tls, limit=LIMIT, backlog=1000))
        self.port = self.server.sockets[0].getsockname()[1]

    def go_away(self):
        """All connections end, and new ones are refused until listen()."""
        async def end():
            self.server.close()
            for connection in list(self.connections):
                connection.cancel()

        self._run(end())

    def refuse(self, pattern, status, **body):
        """The next request whose first line matches is answered with a Status and goes no further."""
        text = json.dumps({"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": status, **body}).encode()
        head = f"HTTP/1.1 {status} Refused\r\nContent-Type: application/json\r\nContent-Length: {len(text)}\r\n\r\n"
        self.refusals.append((re.compile(pattern.encode()), head.encode() + text))

    def close(self):
        async def end():
            self.server.close()
            tasks = [t for t in asyncio.all_tasks() if t is not asyncio.current_task()]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

        self._run(end())
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join()
        self.loop.close()

    def mute_all(self, is_mute):
        """Passes no more bytes on any connection, old or new; TCP stays up. After unmuting the old ones stay mute."""
        self.is_mute = is_mute
        self.mute_open()

    def mute_open(self):
        """Passes no more bytes on the open connections; new ones work."""
        self.muted |= self.connections

    async def _pass(self, connection):
        if self.is_mute or connection in self.muted:
            await asyncio.Event().wait()

    async def _connect(self):
        return await asyncio.open_connection(*self.upstream, ssl=self.upstream_tls, limit=LIMIT)

    async def _serve(self, reader, writer):
        connection = asyncio.current_task()
        self.connections.add(connection)
        upstream = None
        try:
            with contextlib.suppress(Cut, OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
                upstream = await self._connect()
                while True:
                    await self._exchange(connection, reader, writer, upstream)
        finally:
            for end in (writer, upstream and upstream[1]):
                if end:
                    end.transport.abort()
            self.connections.discard(connection)
            self.muted.discard(connection)

    async def _exchange(self, connection, reader, writer, upstream):
        head, request = await read_request(reader)
        await self._pass(connection)
        self.arrivals.append(time.monotonic())
        if self.refusals and self.refusals[0][0].match(head):
            writer.write(self.refusals.pop(0)[1])
            await writer.drain()
            return
        if request.startswith(b"GET ") and b"/secrets/" in request.split(b"\r\n", 1)[0]:
            self.secret_gets += 1
            await (asyncio.sleep(self.secret_delay) if self.secret_delay is not None else asyncio.Event().wait())
        fate = self.random.choice(self.fates) if self.random.random() < self.share else None
        if fate:
            self.hits[fate] += 1
        await self._before(fate, writer, request)
        upstream[1].write(request)
        await upstream[1].drain()
        if fate == "lost-answer":
            await read_answer(upstream[0], head)
            raise Cut
        if fate == "slow-answer":
            await asyncio.sleep(self.random.uniform(0, 1))
        pieces = answer_pieces(upstream[0], head)
        async for piece in pieces:
            await self._pass(connection)
            if fate == "cut":
                writer.write(piece[: self.random.randrange(len(piece))])
                await writer.drain()
                raise Cut
            writer.write(piece)
            await writer.drain()

    async def _before(self, fate, writer, request):
        if fate == "lost-request":
            raise Cut
        if fate == "garbage":
            writer.write(GARBAGE)
            await writer.drain()
            raise Cut
        if fate == "slow":
            await asyncio.sleep(self.random.uniform(0, 1))
        if fate == "twice":
            await self._once_more(request, 0)
        if fate in ("late-twice", "zombie"):
            self.loop.create_task(self._once_more(request, self.random.uniform(0.05, 3)))
        if fate == "zombie":
            raise Cut

    async def _once_more(self, request, delay):
        """Sends a request on a connection of its own and drops the answer. Not for a watch, whose answer does not end."""
        if b"watch=" in request.split(b"\r\n", 1)[0]:
            return
        await asyncio.sleep(delay)
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            reader, writer = await self._connect()
            writer.write(request)
            await read_answer(reader, request)
            writer.transport.abort()


def field(head, name):
    for line in head.split(b"\r\n"):
        if line.lower().startswith(name + b":"):
            return line.split(b":", 1)[1].strip()
    return None


async def read_request(reader):
    head = await reader.readuntil(b"\r\n\r\n")
    return head, head + await reader.readexactly(int(field(head, b"content-length") or 0))


async def answer_pieces(reader, request_head):
    head = await reader.readuntil(b"\r\n\r\n")
    yield head
    if request_head.startswith(b"HEAD") or head.split(b" ", 2)[1] in (b"204", b"304"):
        return
    if field(head, b"transfer-encoding") == b"chunked":
        while True:
            size = await reader.readuntil(b"\r\n")
            yield size + await reader.readexactly(int(size, 16) + 2)
            if int(size, 16) == 0:
                return
    if length := int(field(head, b"content-length") or 0):
        yield await reader.readexactly(length)


async def read_answer(reader, request_head):
    async for _ in answer_pieces(reader, request_head):
        pass
