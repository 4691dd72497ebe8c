"""SIGTERM: not ready, deliveries under way are answered, no connection is reset, exit status 0; a second one ends at once."""

import itertools
import json
import random
import signal
import socket
import threading
import time
import types

import pytest

from balancer import Balancer
from harness import Buildhook, github_headers, github_payload, scaled, wait_for
from pushers import UNLIMITED, Ledger, check_one_build_each, in_parallel, make_hooks, wait_served


@pytest.fixture
def one_hook(cluster):
    return make_hooks(cluster, 1, 1)[0]


def terminate(buildhook):
    """Seconds that it took, and the exit status."""
    began = time.monotonic()
    buildhook.process.send_signal(signal.SIGTERM)
    status = buildhook.process.wait(timeout=25)
    return time.monotonic() - began, status


def test_a_rolling_restart_under_load_resets_no_request_and_loses_none(cluster, start, figures):
    replicas = [start(*UNLIMITED, name=name) for name in ("one", "other")]
    # A ref each: of one ref, what a replica accepted earlier is superseded by what the other has built meanwhile.
    hooks = make_hooks(cluster, 2, 4, {"buildhook.io/refs": "*"})
    for buildhook in replicas:
        wait_served(buildhook, hooks)
    balancer = Balancer(replicas)
    front = types.SimpleNamespace(request=lambda *request: Buildhook.request(balancer, *request))
    ledger, stop, ends, failures = Ledger(needs_answers=True), threading.Event(), [], []
    numbers = itertools.count()

    def push_on(_):
        while not stop.is_set() and not failures:
            try:
                n = next(numbers)
                ledger.push(front, hooks[n % len(hooks)], ref=f"refs/heads/{n}")
            except AssertionError as failure:
                failures.append(failure)

    pushers = threading.Thread(target=in_parallel, args=(8, push_on))
    pushers.start()
    try:
        for i in range(scaled(4, 20)):
            buildhook = replicas[i % 2]
            time.sleep(0.5)
            ends.append(terminate(buildhook))
            balancer.backends.remove(buildhook)
            buildhook.start()
            balancer.backends.append(buildhook)
    finally:
        stop.set()
        pushers.join()
        balancer.close()
    assert not failures, failures[0]
    assert [status for _, status in ends] == [0] * len(ends)
    assert max(took for took, _ in ends) < 20
    check_one_build_each(cluster, ledger, ordered=False)
    figures(f"{len(ends)} restarts, {len(ledger.deliveries)} pushes, {ledger.refused} sent again after a 503, 0 resets; an end took at most {max(took for took, _ in ends):.1f} s")


def half_a_push(buildhook, hook):
    body = json.dumps(github_payload()).encode()
    fields = {"Host": "x", "Content-Length": len(body), **github_headers("inline", body)}
    head = "".join(f"{key}: {value}\r\n" for key, value in fields.items())
    host, port = buildhook.address.rsplit(":", 1)
    connection = socket.create_connection((host, int(port)), timeout=25)
    connection.sendall(f"POST /hooks/{hook[0]}/{hook[1]}/github HTTP/1.1\r\n{head}\r\n".encode() + body[:100])
    time.sleep(0.2)
    return connection, body[100:]


def test_a_request_in_flight_is_answered_after_sigterm_and_nobody_else_is_let_in(cluster, start, one_hook):
    buildhook = start(*UNLIMITED)
    wait_served(buildhook, [one_hook])
    connection, rest = half_a_push(buildhook, one_hook)
    buildhook.process.send_signal(signal.SIGTERM)
    wait_for("not to be ready", lambda: not buildhook.is_ready("?receive"))
    with pytest.raises(ConnectionRefusedError):
        buildhook.request("/")
    connection.sendall(rest)
    assert connection.makefile("rb").readline().split()[1] == b"200"
    assert buildhook.process.wait(timeout=20) == 0
    assert len(cluster.builds(one_hook[0])) == 1


def test_a_second_sigterm_ends_it_now(cluster, start, one_hook):
    buildhook = start()
    wait_served(buildhook, [one_hook])
    connection, _ = half_a_push(buildhook, one_hook)
    buildhook.process.send_signal(signal.SIGTERM)
    wait_for("not to be ready", lambda: not buildhook.is_ready("?receive"))
    took, status = terminate(buildhook)
    connection.close()
    assert took < 3 and status == 1


def test_sigterm_at_any_moment_of_a_start_ends_it_and_leaves_a_good_journal(cluster, start, one_hook, figures):
    buildhook = start(*UNLIMITED)
    wait_served(buildhook, [one_hook])
    buildhook.stop()
    chance, took = random.Random(3), []
    for _ in range(scaled(8, 100)):
        buildhook.launch()
        time.sleep(chance.uniform(0, 0.5))
        seconds, status = terminate(buildhook)
        assert status in (0, -signal.SIGTERM)
        took.append(seconds)
    buildhook.start()
    wait_served(buildhook, [one_hook])
    ledger = Ledger()
    ledger.push(buildhook, one_hook)
    check_one_build_each(cluster, ledger)
    assert max(took) < 5
    figures(f"{len(took)} ends during a start, each in at most {max(took):.2f} s")
