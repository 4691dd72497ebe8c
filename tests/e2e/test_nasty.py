"""Senders and clusters that mean no good, or are broken: nothing of it ends the process or starves others."""

import contextlib
import json
import os
import pathlib
import signal
import socket
import time

import pytest

from harness import buildconfig, github_headers, github_payload, push, wait_for

MIB = 1 << 20
WRONG = "sha256=" + "0" * 64


def head(namespace, name, length, **headers):
    fields = {"Host": "x", "Content-Type": "application/json", "X-GitHub-Event": "push", "Content-Length": str(length), **headers}
    lines = "".join(f"{key}: {value}\r\n" for key, value in fields.items())
    return f"POST /hooks/{namespace}/{name}/github HTTP/1.1\r\n{lines}\r\n".encode()


def connect(buildhook):
    host, port = buildhook.address.rsplit(":", 1)
    return socket.create_connection((host, int(port)), timeout=10)


def status_line(connection):
    return connection.makefile("rb").readline().decode().split(" ")[1]


@contextlib.contextmanager
def unfinished(buildhook, n, request):
    """N connections that send REQUEST and then nothing."""
    connections = [connect(buildhook) for _ in range(n)]
    try:
        for connection in connections:
            with contextlib.suppress(OSError):
                connection.sendall(request)
        yield connections
    finally:
        for connection in connections:
            connection.close()


@contextlib.contextmanager
def hanging_apiserver(cluster):
    """It takes connections, and answers nothing."""
    pid = int((pathlib.Path(cluster.dir) / "kube-apiserver.pid").read_text())
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


@pytest.mark.parametrize("is_made_again", [False, True])
def test_a_buildconfig_that_goes_while_the_body_comes_proves_nothing(cluster, buildhook, hook, is_made_again):
    namespace, name, secret = hook
    body = json.dumps(github_payload()).encode()
    connection = connect(buildhook)
    connection.sendall(head(namespace, name, len(body), **github_headers(secret, body)) + body[:-100])
    time.sleep(0.3)
    cluster.delete(namespace, name)
    if is_made_again:
        cluster.create(namespace, buildconfig(name))
    time.sleep(1)
    connection.sendall(body[-100:])
    assert status_line(connection) == "401"
    assert buildhook.process.poll() is None
    assert not cluster.builds(namespace)


def test_requests_that_only_say_how_long_they_are_take_nothing_from_others(buildhook, hook):
    namespace, name, secret = hook
    with unfinished(buildhook, 40, head(namespace, name, MIB)):
        assert push(buildhook, namespace, name, secret).status == 200


def test_unproved_bodies_together_hold_no_more_than_the_budget(cluster, start, namespace):
    cluster.create(namespace, buildconfig("cart"))
    buildhook = start("--max-buffer", "4MiB")
    wait_for("Ready", lambda: cluster.annotation(namespace, "cart", "github-state") == "Ready")
    files = [{"id": f"{i:040x}", "added": [f"{i}/" + "x" * 4000]} for i in range(20)]
    payload = json.dumps({"ref": "refs/heads/main", "commits": files}).encode()[:-1]
    request = head(namespace, "cart", 20 * MIB, **{"X-Hub-Signature-256": WRONG}) + payload
    with unfinished(buildhook, 60, request) as connections:
        time.sleep(1)
        refused = 0
        for connection in connections:
            connection.setblocking(False)
            with contextlib.suppress(BlockingIOError, ConnectionResetError):
                answer = connection.recv(1000)
                assert answer.startswith(b"HTTP/1.1 503 ") and b"\r\nRetry-After: " in answer
                refused += 1
        assert 10 <= refused < 60
    secret = cluster.secret_value(namespace, "cart-hook")
    wait_for("the budget to be free", lambda: push(buildhook, namespace, "cart", secret).status == 200)


def test_a_hanging_apiserver_holds_up_no_delivery(cluster, start, namespace):
    cluster.create(namespace, buildconfig("cart"))
    buildhook = start("--secret-ttl", "1s")
    wait_for("Ready", lambda: cluster.annotation(namespace, "cart", "github-state") == "Ready")
    secret = cluster.secret_value(namespace, "cart-hook")
    assert push(buildhook, namespace, "cart", secret).status == 200
    time.sleep(1.2)
    with hanging_apiserver(cluster):
        began = time.monotonic()
        answer = push(buildhook, namespace, "cart", secret, delivery="held")
        assert (answer.status, answer.json["reason"]) == (202, "Queued")
        assert time.monotonic() - began < 4.8, "the known secret goes on counting, within the time that a Git host waits"
        began = time.monotonic()
        answer = push(buildhook, namespace, "cart", "wrong")
        assert answer.status == 503 and answer.headers["Retry-After"]
        assert time.monotonic() - began < 4.8
    wait_for("the build", lambda: len(cluster.builds(namespace)) == 2, 30)
