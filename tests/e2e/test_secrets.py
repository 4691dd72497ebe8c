"""Secrets after they have been made: rotated, deleted, shared, left alone."""

import time

from harness import buildconfig, push, wait_for


def rotate(cluster, namespace, name, request):
    cluster.patch(namespace, name, {"metadata": {"annotations": {"buildhook.io/rotate": request}}})


def test_a_rotated_secret_counts_at_once_and_the_old_one_for_the_grace(cluster, start, namespace):
    buildhook = start("--rotation-grace", "6s", "--secret-ttl", "1s")
    cluster.create(namespace, buildconfig("cart"))
    wait_for("Ready", lambda: cluster.annotation(namespace, "cart", "github-state") == "Ready")
    old = cluster.secret_value(namespace, "cart-hook")
    rotate(cluster, namespace, "cart", "1")
    new = wait_for("a new value", lambda: (v := cluster.secret_value(namespace, "cart-hook")) != old and v)
    assert push(buildhook, namespace, "cart", new).status == 200
    assert push(buildhook, namespace, "cart", old).status == 200
    assert wait_for("the Event", lambda: cluster.events(namespace, "WebhookSecretRotated"))
    state = wait_for("the grace", lambda: (s := cluster.annotation(namespace, "cart", "github-state")) != "Ready" and s)
    assert state.startswith("Ready, the old secret is accepted until ")
    assert buildhook.metric('buildhook_hooks{state="NotReady"}') == 0
    data = lambda: cluster.core.read_namespaced_secret("cart-hook", namespace).data
    wait_for("the old value to go", lambda: set(data()) == {"WebHookSecretKey"}, 15)
    time.sleep(1.1)
    assert push(buildhook, namespace, "cart", old).status == 401
    assert push(buildhook, namespace, "cart", new).status == 200
    assert cluster.secret_value(namespace, "cart-hook") == new, "one request rotates once"


def test_a_request_is_not_acted_on_again_after_a_restart(cluster, start, namespace):
    buildhook = start()
    cluster.create(namespace, buildconfig("cart", annotations={"buildhook.io/rotate": "at birth"}))
    wait_for("Ready", lambda: cluster.annotation(namespace, "cart", "github-state") == "Ready")
    value = cluster.secret_value(namespace, "cart-hook")
    buildhook.stop()
    buildhook.start()
    rotate(cluster, namespace, "cart", "at birth")
    time.sleep(1)
    assert cluster.secret_value(namespace, "cart-hook") == value


def test_a_deleted_secret_is_made_again_when_a_delivery_misses_it(cluster, start, namespace):
    buildhook = start("--secret-ttl", "1s")
    cluster.create(namespace, buildconfig("cart"))
    wait_for("Ready", lambda: cluster.annotation(namespace, "cart", "github-state") == "Ready")
    old = cluster.secret_value(namespace, "cart-hook")
    cluster.core.delete_namespaced_secret("cart-hook", namespace)
    time.sleep(1.1)
    assert push(buildhook, namespace, "cart", old).status == 401
    wait_for("the Secret", lambda: cluster.find_secret_value(namespace, "cart-hook"))
    new = cluster.secret_value(namespace, "cart-hook")
    assert new != old
    assert push(buildhook, namespace, "cart", new).status == 200


def test_a_trigger_that_names_no_secret_gets_one_of_its_own_name(cluster, buildhook, namespace):
    cluster.create(namespace, buildconfig("cart", triggers=[{"type": "GitHub", "github": {}}]))
    wait_for("Ready", lambda: cluster.annotation(namespace, "cart", "github-state") == "Ready")
    assert push(buildhook, namespace, "cart", cluster.secret_value(namespace, "cart-github-webhook")).status == 200


def test_a_secret_that_is_not_ours_is_used_and_not_written(cluster, buildhook, namespace):
    body = {"metadata": {"name": "cart-hook"}, "stringData": {"WebHookSecretKey": "mine"}}
    before = cluster.core.create_namespaced_secret(namespace, body).metadata.resource_version
    cluster.create(namespace, buildconfig("cart"))
    wait_for("Ready", lambda: cluster.annotation(namespace, "cart", "github-state") == "Ready")
    rotate(cluster, namespace, "cart", "please")
    assert push(buildhook, namespace, "cart", "mine").status == 200
    assert cluster.core.read_namespaced_secret("cart-hook", namespace).metadata.resource_version == before


def test_two_buildconfigs_may_share_a_secret_and_both_own_it(cluster, buildhook, namespace):
    triggers = [{"type": "GitHub", "github": {"secretReference": {"name": "shared"}}}]
    for name in ("cart", "catalog"):
        cluster.create(namespace, buildconfig(name, triggers=triggers))
        wait_for("Ready", lambda: cluster.annotation(namespace, name, "github-state") == "Ready")
    owners = lambda: {o.name for o in cluster.core.read_namespaced_secret("shared", namespace).metadata.owner_references}
    wait_for("both to own it", lambda: owners() == {"cart", "catalog"})
    value = cluster.secret_value(namespace, "shared")
    cluster.delete(namespace, "cart")
    time.sleep(1)
    assert push(buildhook, namespace, "catalog", value).status == 200


def test_a_secret_of_a_deleted_buildconfig_does_not_count_for_its_namesake(cluster, buildhook, hook):
    namespace, name, old = hook
    cluster.delete(namespace, name)
    cluster.create(namespace, buildconfig(name))
    wait_for("a new value", lambda: (value := cluster.find_secret_value(namespace, "cart-hook")) and value != old, 40)
    wait_for("Ready", lambda: cluster.annotation(namespace, name, "github-state") == "Ready")
    new = cluster.secret_value(namespace, "cart-hook")
    assert push(buildhook, namespace, name, old).status == 401
    assert push(buildhook, namespace, name, new).status == 200


def test_without_provisioning_a_missing_secret_is_only_told_of(cluster, start, namespace):
    start("--provision=false")
    cluster.create(namespace, buildconfig("cart"))
    state = wait_for("the state", lambda: cluster.annotation(namespace, "cart", "github-state"))
    assert state.startswith("NotReady: ") and "cart-hook" in state
    assert wait_for("the Event", lambda: cluster.events(namespace, "WebhookNotReady"))
    assert not cluster.find_secret_value(namespace, "cart-hook")
