"""A TCP balancer like a Service: each new connection goes to the next backend, an open one stays with its backend."""

import contextlib
import itertools
import socket
import threading
import time


class Balancer:
    def __init__(self, backends):
        """BACKENDS: objects with an address; the list may be changed later."""
        self.backends = list(backends)
        self.turn = itertools.count()
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=1000)
        self.address = "127.0.0.1:%d" % self.listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()

    def _accept(self):
        with contextlib.suppress(OSError):
            while True:
                client, _ = self.listener.accept()
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _connect(self):
        """A refused connection is tried at the next one, as nothing was sent."""
        for _ in range(100):
            backends = list(self.backends)
            host, port = backends[next(self.turn) % len(backends)].address.rsplit(":", 1)
            with contextlib.suppress(ConnectionRefusedError):
                return socket.create_connection((host, int(port)), timeout=60)
            time.sleep(0.02)
        raise ConnectionRefusedError

    def _serve(self, client):
        with client, self._connect() as backend:
            back = threading.Thread(target=copy, args=(backend, client))
            back.start()
            copy(client, backend)
            back.join()


def copy(source, sink):
    try:
        while data := source.recv(1 << 16):
            sink.sendall(data)
        sink.shutdown(socket.SHUT_WR)
    except OSError:
        for end in (source, sink):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
