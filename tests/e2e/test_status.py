"""What a BuildConfig shows: annotations that an owner reads with `oc describe`."""

import json
import shlex
import time

from harness import buildconfig, github_headers, github_payload, push, wait_for


def shows(cluster, namespace, name, key, text, timeout=10):
    """The annotation's value, once TEXT is part of it."""
    return wait_for(f"{key} to say {text!r}", lambda: text in (v := cluster.annotation(namespace, name, key)) and v, timeout)


def test_the_first_refused_request_shows_at_once_and_the_next_within_a_minute(cluster, start, namespace):
    buildhook = start("--status-interval", "1s")
    cluster.create(namespace, buildconfig("cart"))
    wait_for("Ready", lambda: cluster.annotation(namespace, "cart", "github-state") == "Ready")
    time.sleep(1)
    assert push(buildhook, namespace, "cart", "wrong").status == 401
    refused = shows(cluster, namespace, "cart", "github-refused", "signature does not match the secret", 3)
    assert " 1 since start" in refused
    version = cluster.get(namespace, "cart")["metadata"]["resourceVersion"]
    for _ in range(4):
        assert push(buildhook, namespace, "cart", "wrong").status == 401
    time.sleep(3)
    assert cluster.get(namespace, "cart")["metadata"]["resourceVersion"] == version, "at most one write a minute"
    secret = cluster.secret_value(namespace, "cart-hook")
    assert push(buildhook, namespace, "cart", secret).status == 200
    shows(cluster, namespace, "cart", "github-refused", " 5 since start")
    assert cluster.annotation(namespace, "cart", "recent").count("github refused: ") == 1


def test_what_comes_after_refused_requests_does_not_wait_for_their_minute(cluster, start, namespace):
    buildhook = start("--status-interval", "1s")
    cluster.create(namespace, buildconfig("cart"))
    wait_for("Ready", lambda: cluster.annotation(namespace, "cart", "github-state") == "Ready")
    secret = cluster.secret_value(namespace, "cart-hook")
    assert push(buildhook, namespace, "cart", "wrong").status == 401
    shows(cluster, namespace, "cart", "github-refused", " 1 since start")
    assert push(buildhook, namespace, "cart", "wrong").status == 401
    time.sleep(1)
    assert push(buildhook, namespace, "cart", secret, event="ping").json["reason"] == "Ping"
    shows(cluster, namespace, "cart", "github-last", "ping")
    assert " 2 since start" in cluster.annotation(namespace, "cart", "github-refused")


def test_an_ignored_push_leaves_what_was_built_and_is_no_hint(cluster, start, namespace):
    buildhook = start("--status-interval", "1s")
    cluster.create(namespace, buildconfig("cart", ref="master"))
    wait_for("Ready", lambda: cluster.annotation(namespace, "cart", "github-state") == "Ready")
    secret = cluster.secret_value(namespace, "cart-hook")
    assert push(buildhook, namespace, "cart", secret, ref="refs/heads/wip").json["reason"] == "RefMismatch"
    shows(cluster, namespace, "cart", "hint", 'was ignored: this BuildConfig builds "master"')
    assert push(buildhook, namespace, "cart", secret, ref="refs/heads/master").json["kind"] == "Build"
    shows(cluster, namespace, "cart", "github-last", "-> cart-1")
    assert cluster.annotation(namespace, "cart", "github-built") == ""
    assert push(buildhook, namespace, "cart", secret, ref="refs/heads/wip2").json["reason"] == "RefMismatch"
    shows(cluster, namespace, "cart", "github-last", "push wip2")
    assert cluster.annotation(namespace, "cart", "github-built").endswith("-> cart-1")
    assert "ignored" not in cluster.annotation(namespace, "cart", "hint")
    recent = cluster.annotation(namespace, "cart", "recent").splitlines()
    assert [line.split()[1:4] for line in recent] == [["github", "push", "wip2"], ["github", "push", "wip"]]


def test_what_was_seen_before_a_restart_stays(cluster, start, namespace):
    buildhook = start("--status-interval", "1s")
    cluster.create(namespace, buildconfig("cart"))
    wait_for("Ready", lambda: cluster.annotation(namespace, "cart", "github-state") == "Ready")
    secret = cluster.secret_value(namespace, "cart-hook")
    assert push(buildhook, namespace, "cart", secret).json["kind"] == "Build"
    shows(cluster, namespace, "cart", "github-last", "-> cart-1")
    buildhook.stop()
    buildhook.start()
    body = json.dumps(github_payload()).encode()
    headers = github_headers(secret, body, event="issues")
    assert buildhook.request(f"/hooks/{namespace}/cart/github", body, headers).json["reason"] == "EventIgnored"
    shows(cluster, namespace, "cart", "github-last", "issues -> ignored")
    assert cluster.annotation(namespace, "cart", "github-built").endswith("-> cart-1")
    assert "issues" in cluster.annotation(namespace, "cart", "recent")


def test_where_nothing_runs_builds_the_hint_says_so(cluster, start, namespace):
    buildhook = start("--status-interval", "1s")
    cluster.create(namespace, buildconfig("cart"))
    wait_for("Ready", lambda: cluster.annotation(namespace, "cart", "github-state") == "Ready")
    assert push(buildhook, namespace, "cart", cluster.secret_value(namespace, "cart-hook")).json["kind"] == "Build"
    shows(cluster, namespace, "cart", "hint", "nothing runs Builds here: cart-1 stays New", 300)


def test_an_inline_secret_comes_with_a_command_that_moves_it(cluster, buildhook, namespace):
    triggers = [{"type": "ConfigChange"}, {"type": "GitHub", "github": {"secret": "hunter2"}}]
    cluster.create(namespace, buildconfig("cart", triggers=triggers))
    hint = shows(cluster, namespace, "cart", "hint", "github secret is inline, move it: kubectl ")
    command = shlex.split(hint.partition("move it: kubectl ")[2])
    cluster.kubectl(*command, "-n", namespace)
    value = wait_for("the Secret", lambda: cluster.find_secret_value(namespace, "cart-github-webhook"))
    assert push(buildhook, namespace, "cart", value).json["kind"] == "Build"
    assert "hunter2" not in json.dumps(cluster.get(namespace, "cart")["spec"])
