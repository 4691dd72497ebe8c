"""A journaled delivery that is asked for once more, by annotation."""

import time
import uuid

from cli import Owner, ready
from harness import buildconfig, push, wait_for
from test_status import shows

KEY = "buildhook.io/redeliver"


def ask(cluster, namespace, request):
    cluster.patch(namespace, "cart", {"metadata": {"annotations": {KEY: request}}})


def redelivered(cluster, namespace, n):
    return wait_for(f"{n} builds", lambda: len(b := cluster.builds(namespace)) == n and b, 20)


def test_a_delivery_that_was_built_is_built_once_more_for_each_nonce(cluster, start, namespace):
    buildhook = start("--status-interval", "1s")
    cluster.create(namespace, buildconfig("cart"))
    wait_for("Ready", lambda: cluster.annotation(namespace, "cart", "github-state") == "Ready")
    secret = cluster.secret_value(namespace, "cart-hook")
    delivery = str(uuid.uuid4())
    assert push(buildhook, namespace, "cart", secret, delivery=delivery, commit="a" * 40).json["kind"] == "Build"
    assert push(buildhook, namespace, "cart", secret, commit="b" * 40).json["kind"] == "Build"
    ask(cluster, namespace, f"{delivery} one")
    first, newer, again = redelivered(cluster, namespace, 3)
    assert [b["spec"]["revision"]["git"]["commit"][0] for b in (first, newer, again)] == ["a", "b", "a"]
    annotations = again["metadata"]["annotations"]
    assert (annotations["buildhook.io/delivery-id"], annotations["buildhook.io/redelivered"]) == (delivery, "one")
    label = "buildhook.io/delivery"
    assert len({b["metadata"]["labels"][label] for b in (first, newer, again)}) == 3
    wait_for("the claim", lambda: cluster.annotation(namespace, "cart", "redelivered") == f"{delivery} one", 10)
    buildhook.stop()
    buildhook.start()
    time.sleep(2)
    assert len(cluster.builds(namespace)) == 3, "one request builds once"
    ask(cluster, namespace, f"{delivery} two")
    redelivered(cluster, namespace, 4)
    # A redelivered older commit does not keep later pushes from being built.
    assert push(buildhook, namespace, "cart", secret, commit="c" * 40).json["kind"] == "Build"


def test_what_no_replica_has_is_said_after_a_minute(cluster, start, namespace, tmp_path):
    buildhook = start("--status-interval", "1s")
    cluster.create(namespace, buildconfig("cart", annotations={KEY: "nobody-has-it now"}))
    cluster.create(namespace, buildconfig("till"))
    ready(cluster, namespace, "till")
    owner = Owner(cluster, namespace, tmp_path)
    command = owner.start("redeliver", "till", "nobody-has-it")
    shows(cluster, namespace, "cart", "hint", 'buildhook.io/redeliver: no delivery "nobody-has-it" is stored', 75)
    cluster.patch(namespace, "cart", {"metadata": {"annotations": {KEY: "nonsense"}}})
    shows(cluster, namespace, "cart", "hint", "fix: annotation buildhook.io/redeliver is not", 10)
    # The command leaves no hint behind.
    _, said = command.communicate(timeout=60)
    assert command.returncode == 1 and 'no replica has delivery "nobody-has-it"' in said and "Redeliver it at the Git host" in said
    annotations = wait_for("the hint to go", lambda: "buildhook.io/hint" not in (a := cluster.get(namespace, "till")["metadata"]["annotations"]) and a, 20)
    assert KEY not in annotations
    assert push(buildhook, namespace, "till", cluster.secret_value(namespace, "till-hook"), delivery="the-first").status == 200
    said = owner.fails("redeliver", "till", "till-1")
    assert '"till-1" is a Build; ID is that of its delivery: `buildhook redeliver till the-first`' in said


def test_two_replicas_build_it_once(cluster, start, namespace):
    one, two = start(name="one"), start(name="two")
    cluster.create(namespace, buildconfig("cart"))
    wait_for("Ready", lambda: cluster.annotation(namespace, "cart", "github-state") == "Ready")
    secret = cluster.secret_value(namespace, "cart-hook")
    delivery = str(uuid.uuid4())
    payload = {"commit": "a" * 40}
    assert push(one, namespace, "cart", secret, delivery=delivery, **payload).status == 200
    assert push(two, namespace, "cart", secret, delivery=delivery, **payload).status == 200
    assert len(cluster.builds(namespace)) == 1
    ask(cluster, namespace, f"{delivery} now")
    redelivered(cluster, namespace, 2)
    time.sleep(3)
    assert len(cluster.builds(namespace)) == 2
