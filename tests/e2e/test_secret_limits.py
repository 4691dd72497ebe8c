"""Secrets that buildhook made and others have written into, and rotation as an owner sees it."""

import json
import time

from harness import buildconfig, push, scaled, wait_for
from test_status import shows

LABELS = {"app.kubernetes.io/managed-by": "buildhook"}


def ready(cluster, namespace, name="cart"):
    wait_for("Ready", lambda: cluster.annotation(namespace, name, "github-state") == "Ready")


def rotate(cluster, namespace, name, request):
    cluster.patch(namespace, name, {"metadata": {"annotations": {"buildhook.io/rotate": request}}})


def version(cluster, namespace, name):
    return cluster.core.read_namespaced_secret(name, namespace).metadata.resource_version


def test_a_deleted_secret_is_noticed_although_nothing_is_delivered(cluster, start, namespace):
    buildhook = start("--resync", "2s", "--status-interval", "1s")
    cluster.create(namespace, buildconfig("cart"))
    ready(cluster, namespace)
    old = cluster.secret_value(namespace, "cart-hook")
    assert push(buildhook, namespace, "cart", old).status == 200
    shows(cluster, namespace, "cart", "github-last", "-> cart-1")
    cluster.core.delete_namespaced_secret("cart-hook", namespace)
    new = wait_for("another value", lambda: (v := cluster.find_secret_value(namespace, "cart-hook")) and v != old and v, 10)
    shows(cluster, namespace, "cart", "hint", 'Secret "cart-hook" was deleted and made again with a new value')
    assert push(buildhook, namespace, "cart", new).status == 200
    wait_for("the hint to go", lambda: cluster.annotation(namespace, "cart", "hint") == "", 10)


def test_a_missing_secret_that_may_not_be_made_is_not_ready(cluster, start, namespace):
    start("--resync", "2s", "--status-interval", "1s", "--provision=false")
    cluster.core.create_namespaced_secret(namespace, {"metadata": {"name": "cart-hook"}, "stringData": {"WebHookSecretKey": "mine"}})
    cluster.create(namespace, buildconfig("cart"))
    ready(cluster, namespace)
    cluster.core.delete_namespaced_secret("cart-hook", namespace)
    shows(cluster, namespace, "cart", "github-state", "NotReady: ")
    before = cluster.get(namespace, "cart")["metadata"]["resourceVersion"]
    time.sleep(5)
    assert cluster.get(namespace, "cart")["metadata"]["resourceVersion"] == before, "looking at Secrets writes nothing"


def test_rotation_says_until_when_and_who_still_uses_the_old_secret(cluster, start, namespace):
    buildhook = start("--status-interval", "1s")
    cluster.create(namespace, buildconfig("cart"))
    ready(cluster, namespace)
    old = cluster.secret_value(namespace, "cart-hook")
    rotate(cluster, namespace, "cart", "1")
    shows(cluster, namespace, "cart", "github-state", "Ready, the old secret is accepted until 20")
    assert push(buildhook, namespace, "cart", old).status == 200
    shows(cluster, namespace, "cart", "hint", "the newest github delivery was still signed with the old secret")
    assert push(buildhook, namespace, "cart", cluster.secret_value(namespace, "cart-hook")).status == 200
    wait_for("the hint to go", lambda: cluster.annotation(namespace, "cart", "hint") == "", 10)


def test_rotation_where_buildhook_made_no_secret_says_so(cluster, start, namespace):
    start("--status-interval", "1s")
    cluster.core.create_namespaced_secret(namespace, {"metadata": {"name": "cart-hook"}, "stringData": {"WebHookSecretKey": "mine"}})
    before = version(cluster, namespace, "cart-hook")
    cluster.create(namespace, buildconfig("cart", annotations={"buildhook.io/rotate": "1"}))
    shows(cluster, namespace, "cart", "hint", 'changed nothing for github: buildhook did not make Secret "cart-hook"')
    assert version(cluster, namespace, "cart-hook") == before


def test_a_record_that_leaves_no_room_is_not_rotated_for_ever(cluster, start, namespace):
    start("--status-interval", "1s")
    metadata = {"name": "cart-hook", "labels": LABELS, "annotations": {"buildhook.io/rotated": "x" * 100_000}}
    cluster.core.create_namespaced_secret(namespace, {"metadata": metadata, "stringData": {"WebHookSecretKey": "mine"}})
    cluster.create(namespace, buildconfig("cart"))
    ready(cluster, namespace)
    wait_for("its owner", lambda: cluster.core.read_namespaced_secret("cart-hook", namespace).metadata.owner_references)
    rotate(cluster, namespace, "cart", "1")
    shows(cluster, namespace, "cart", "hint", "annotation buildhook.io/rotated is longer than 64 KiB: remove it")
    assert cluster.secret_value(namespace, "cart-hook") == "mine"
    before = version(cluster, namespace, "cart-hook")
    time.sleep(3)
    assert version(cluster, namespace, "cart-hook") == before
    cluster.core.patch_namespaced_secret("cart-hook", namespace, {"metadata": {"annotations": {"buildhook.io/rotated": None}}})
    wait_for("the rotation", lambda: cluster.secret_value(namespace, "cart-hook") != "mine", 40)


def test_hundreds_of_owners_keep_all_their_fields(cluster, start, namespace):
    n = scaled(300, 600)
    start("--status-interval", "1s")
    owners = [
        {"apiVersion": "v1", "kind": "ConfigMap", "name": f"owner-{i}", "uid": f"{i:08}-0000-0000-0000-000000000000", "blockOwnerDeletion": True}
        for i in range(n)
    ]
    for owner in owners:  # they exist, or the garbage collector takes the references away
        made = cluster.core.create_namespaced_config_map(namespace, {"metadata": {"name": owner["name"]}})
        owner["uid"] = made.metadata.uid
    metadata = {"name": "cart-hook", "labels": LABELS, "ownerReferences": owners}
    cluster.core.create_namespaced_secret(namespace, {"metadata": metadata, "stringData": {"WebHookSecretKey": "mine"}})
    cluster.create(namespace, buildconfig("cart"))
    read = lambda: json.loads(cluster.kubectl("get", "secret", "cart-hook", "-n", namespace, "-o", "json"))["metadata"]["ownerReferences"]
    held = wait_for("one more owner", lambda: len(o := read()) == n + 1 and o)
    by_uid = {o["uid"]: o for o in held}
    assert [by_uid[o["uid"]] for o in owners] == owners
