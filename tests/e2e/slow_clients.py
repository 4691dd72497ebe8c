"""Many connections whose heads come one byte a second; each that the server ends is made again. A process of its own, so that
its work does not delay the measurements of others: slow_clients.py HOST PORT N, until its standard input ends; then it prints what it saw."""

import fcntl
import json
import select
import socket
import struct
import sys
import termios
import time

HEAD = b"POST /hooks/shop/cart/github HTTP/1.1\r\nHost: x\r\nX-Slow: " + b"x" * 1000


class Client:
    def __init__(self, address):
        self.socket = socket.socket()
        self.socket.setblocking(False)
        self.socket.connect_ex(address)
        # When the server's kernel had the first byte. Where the queue of connections is full, it takes seconds to try again.
        self.began = None
        self.sent = 0
        self.age = 0.0  # when it was last seen open: this process may come late

    def unacknowledged(self):
        return struct.unpack("i", fcntl.ioctl(self.socket, termios.TIOCOUTQ, bytes(4)))[0]

    def is_ended(self):
        """Sends the next byte, and looks whether the server has closed."""
        try:
            self.socket.send(HEAD[self.sent : self.sent + 1])
            self.sent += 1
            if not self.began and not self.unacknowledged():
                self.began = time.monotonic()
            while self.socket.recv(4096):
                pass
            return True
        except BlockingIOError:
            self.age = time.monotonic() - self.began if self.began else 0.0
            return False
        except OSError:
            return True


def main(host, port, n):
    address, clients, ended, longest = (host, int(port)), [], 0, 0.0
    begin = time.monotonic()
    while not select.select([sys.stdin], [], [], 0)[0]:
        # A tenth of them in each tenth of a second.
        for i in range(int((time.monotonic() - begin) * 10) % 10, int(n), 10):
            while i >= len(clients):
                clients.append(Client(address))
            if clients[i].is_ended():
                clients[i].socket.close()
                ended += 1
                longest = max(longest, clients[i].age)
                clients[i] = Client(address)
        time.sleep(0.1 - (time.monotonic() - begin) % 0.1)
    print(json.dumps({"ended": ended, "longest": longest}))


main(*sys.argv[1:])
