"""status and history, as the owner of one namespace."""

import json
import os
import pty
import select
import shlex
import subprocess
import time

import pytest

from cli import Caller, cluster, fits, owner, ready  # noqa: F401 - fixtures
from harness import BUILDHOOK, buildconfig, push, wait_for


@pytest.fixture
def buildhook(start):
    return start("--public-url=https://hooks.example.com", "--status-interval=100ms")


def test_status_is_a_table_with_what_is_wrong_below(cluster, buildhook, owner):
    namespace = owner.namespace
    assert owner.run("status").stderr_text.startswith(f"No webhooks found in {namespace} namespace.\n")
    cluster.create(namespace, buildconfig("cart"))
    owned = {"metadata": {"name": "mine"}, "stringData": {"other": "x"}}
    cluster.core.create_namespaced_secret(namespace, owned)
    cluster.create(namespace, buildconfig("blog", triggers=[{"type": "GitLab", "gitlab": {"secretReference": {"name": "mine"}}}]))
    ready(cluster, namespace, "cart")
    wait_for("NotReady", lambda: cluster.annotation(namespace, "blog", "gitlab-state").startswith("NotReady"))
    secret = cluster.secret_value(namespace, "cart-hook")
    assert push(buildhook, namespace, "cart", secret).status == 200
    assert push(buildhook, namespace, "cart", secret, ref="refs/heads/wip").json["reason"] == "RefMismatch"
    assert push(buildhook, namespace, "cart", "wrong").status == 401
    wait_for("the status", lambda: "RefMismatch" in cluster.annotation(namespace, "cart", "github-last")
             and cluster.annotation(namespace, "cart", "github-refused"), 80)
    text = fits(owner.ok("status"))
    head, *rows = text.splitlines()
    assert head.split() == ["NAME", "TYPE", "STATE", "LAST", "DELIVERY", "BUILD"]
    assert rows[0].split()[:3] == ["blog", "gitlab", "NotReady"] and rows[1].split()[:3] == ["cart", "github", "Ready"]
    assert "push wip" in rows[1] and rows[1].endswith("cart-1 New")
    assert "blog gitlab: NotReady: " in text and "cart github refused: " in text and "WebHookSecretKey" in text
    assert "`buildhook url cart github --with-secret`" in text
    assert "paste there what `buildhook url cart github --with-secret` prints" in " ".join(text.split())
    # The timestamps have whole seconds.
    time.sleep(1)
    assert push(buildhook, namespace, "cart", secret, ref="refs/heads/wip").json["reason"] == "RefMismatch"
    later = wait_for("it to show", lambda: "A later delivery was accepted" in (text := owner.ok("status", "cart")) and text, 20)
    assert "cart github refused: " in later and "paste there" not in later
    cluster.create(namespace, buildconfig("plain", triggers=[]))
    assert owner.run("status", "plain").stderr_text.startswith("BuildConfig plain has no webhook trigger.\n")
    one = owner.ok("status", "cart")
    assert "blog" not in one and "cart-1 New" in one
    wide = owner.ok("status", "-o", "wide")
    assert f"https://hooks.example.com/hooks/{namespace}/cart/github" in wide and "cart-hook" in wide and " since start" in wide
    items = {i["name"]: i for i in json.loads(owner.ok("status", "-o", "json"))["items"]}
    assert items["cart"]["state"] == "Ready" and items["cart"]["build"] == {"name": "cart-1", "phase": "New"}
    assert "\033" not in text and secret not in text + wide
    assert 'buildconfigs.build.openshift.io "x" not found' in owner.fails("status", "x")
    forbidden = owner.fails("status", "-A")
    assert forbidden.startswith("Error from server (Forbidden): ") and "at the cluster scope" in forbidden
    assert "without -A" in forbidden and "admin of the namespace" not in forbidden
    # All namespaces, as somebody who may.
    admin = Caller(cluster.kubeconfig)
    assert admin.ok("status", "-A").splitlines()[0].split()[0] == "NAMESPACE"
    assert any(line.split()[:2] == [namespace, "cart"] for line in admin.ok("status", "-A").splitlines())


def test_a_push_that_built_shows_before_its_annotation(cluster, start, owner):
    """Annotations are written some seconds apart."""
    namespace = owner.namespace
    buildhook = start("--status-interval=1h")
    cluster.create(namespace, buildconfig("cart"))
    ready(cluster, namespace, "cart")
    secret = cluster.secret_value(namespace, "cart-hook")
    for number, commit in ((1, "3f2a1b0c" * 5), (2, "9e0d4c2b" * 5)):
        assert push(buildhook, namespace, "cart", secret, commit=commit).status == 200
        row = owner.ok("status").splitlines()[1]
        assert f"ago: push main {commit[:7]} -> cart-{number}" in row and row.endswith(f"cart-{number} New"), row
        (item,) = json.loads(owner.ok("status", "-o", "json"))["items"]
        assert item["last"].startswith(f"push main {commit[:7]} by ") and item["lastTime"].endswith("Z"), item
    assert "github-last" not in str(cluster.get(namespace, "cart")["metadata"]["annotations"])


def test_a_mistyped_name_is_told_what_was_probably_meant(cluster, owner):
    """For each command that takes a name, also of a Build."""
    cluster.create(owner.namespace, buildconfig("cart"))
    owner.ok("start", "cart")
    for args in (["status", "crat"], ["url", "crat"], ["history", "carts"], ["rotate", "art"], ["logs", "crat"], ["test", "crat", "github"]):
        text = owner.fails(*args)
        assert text.startswith(f'Error from server (NotFound): buildconfigs.build.openshift.io "{args[1]}" not found\nDid you mean "cart"?'), text
    for command in ("cancel", "logs"):
        text = owner.fails(command, "crat-1")
        assert text.startswith('Error from server (NotFound): builds.build.openshift.io "crat-1" not found\nDid you mean "cart-1"?'), text
    assert "Did you mean" not in owner.fails("status", "something-else")


def test_long_names_fit_too(cluster, owner):
    namespace, name = owner.namespace, "frontend-of-the-shop-in-production"
    cluster.create(namespace, buildconfig(name))
    cluster.custom.create_namespaced_custom_object("build.openshift.io", "v1", namespace, "builds", {
        "apiVersion": "build.openshift.io/v1", "kind": "Build",
        "metadata": {"name": f"{name}-12", "labels": {"openshift.io/build-config.name": name, "buildconfig": name},
                     "annotations": {"openshift.io/build-config.name": name, "openshift.io/build.number": "12"}},
        "spec": {"source": {"type": "Git", "git": {"uri": "https://git.example.com/a.git"}},
                 "strategy": {"type": "Docker", "dockerStrategy": {}}, "triggeredBy": [{"githubWebHook": {}}]}, "status": {"phase": "Running"}})
    row = fits(owner.ok("status")).splitlines()[1]
    assert row.startswith("front") and row.endswith("tion-12 Running") and "github" in row and "Unknown" in row, row
    fits(Caller(cluster.kubeconfig).ok("status", "-A"))
    assert f" {name}-12 Running " in owner.ok("status", "-o", "wide")


def test_the_command_of_a_hint_can_be_pasted(cluster, buildhook, owner):
    """It stands on one line, and where other namespaces are listed it names its own; so does every note."""
    other, triggers = cluster.namespace(), [{"type": "GitHub", "github": {"secret": "inline"}}]
    for namespace in (owner.namespace, other):
        cluster.create(namespace, buildconfig("cart", triggers=triggers))
        wait_for("the hint", lambda: "move it: " in cluster.annotation(namespace, "cart", "hint"))
    text = fits(owner.ok("status"))
    (line,) = [line.strip() for line in text.splitlines() if "kubectl " in line]
    assert "cart hint: github secret is inline, move it:\n  kubectl patch bc cart " in text and " -n " not in line
    admin = Caller(cluster.kubeconfig)
    for text in (fits(admin.ok("status", "-A")), fits(admin.ok("status", "-n", other))):
        (line,) = [line.strip() for line in text.splitlines() if "kubectl " in line and line.endswith(f" -n {other}")]
    text = " ".join(admin.ok("status", "-A").split())
    assert all(f"{namespace}/cart hint: github secret is inline" in text for namespace in (owner.namespace, other))
    cluster.kubectl(*shlex.split(line)[1:])
    assert wait_for("the Secret", lambda: cluster.find_secret_value(other, "cart-github-webhook"))
    assert push(buildhook, other, "cart", "wrong").status == 401
    wait_for("the refusal", lambda: cluster.annotation(other, "cart", "github-refused"))
    for flags in (["-A"], ["-n", other]):
        assert f"`buildhook url cart github --with-secret -n {other}`" in admin.ok("status", *flags)


def test_colour_is_for_terminals_alone(cluster, buildhook, owner):
    cluster.create(owner.namespace, buildconfig("cart"))
    ready(cluster, owner.namespace, "cart")

    def on_terminal(**env):
        main, side = pty.openpty()
        full = {**os.environ, "KUBECONFIG": str(owner.kubeconfig), "TERM": "xterm", **env}
        subprocess.run([BUILDHOOK, "status"], stdout=side, stdin=subprocess.DEVNULL, env=full, check=True, timeout=20)
        text = b""
        while select.select([main], [], [], 0.2)[0]:
            text += os.read(main, 4096)
        os.close(main)
        os.close(side)
        return text

    assert b"\033[32mReady" in on_terminal(NO_COLOR="")
    assert b"\033" not in on_terminal(NO_COLOR="1")
    assert "\033" not in owner.ok("status")


def test_status_follows(cluster, buildhook, owner):
    namespace = owner.namespace
    cluster.create(namespace, buildconfig("cart"))
    ready(cluster, namespace, "cart")
    secret = cluster.secret_value(namespace, "cart-hook")
    process = owner.start("status", "-w", stdin=subprocess.DEVNULL)
    seen = []

    def has(words):
        seen.append((os.read(process.stdout.fileno(), 65536) if select.select([process.stdout], [], [], 0)[0] else b"").decode())
        return words in "".join(seen)

    wait_for("the table", lambda: has("LAST DELIVERY"))
    assert push(buildhook, namespace, "cart", secret).status == 200
    wait_for("the build", lambda: has("cart-1 New"))
    cluster.custom.patch_namespaced_custom_object("build.openshift.io", "v1", namespace, "builds", "cart-1", {"status": {"phase": "Running"}})
    wait_for("its phase", lambda: has("cart-1 Running"))
    before = len("".join(seen).splitlines())
    time.sleep(1)
    assert not has("nothing") and len("".join(seen).splitlines()) == before, "a row was printed again without a change"
    # What is wrong stands below, as without -w.
    assert push(buildhook, namespace, "cart", "wrong").status == 401
    wait_for("what to do", lambda: has("cart github refused: "), 80)
    process.terminate()
    process.communicate(timeout=10)
    process = owner.start("status", "cart", "-w", "-o", "json", stdin=subprocess.DEVNULL)
    seen.clear()
    item = json.loads(wait_for("a document", lambda: has("\n}\n") and "".join(seen)))
    assert (item["name"], item["build"]["name"]) == ("cart", "cart-1")
    process.terminate()
    process.communicate(timeout=10)
