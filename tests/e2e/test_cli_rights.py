"""Every command as an owner with role edit in one namespace, as a viewer, and elsewhere: refusals by RBAC are worded as kubectl words them."""

import re

import pytest
import yaml

from cli import Owner, cluster, ready  # noqa: F401 - fixtures
from git_hosts import TOKEN, GitHub, path_of
from harness import GROUP, ROOT, buildconfig, free_port, wait_for
from test_ui import Page

PAYLOAD = str(ROOT / "tests" / "data" / "payloads" / "github-push.json")
COMMIT = "3f2a1b0c9d8e7f6a5b4c3d2e1f0a9b8c7d6e5f4a"
# What OpenShift's own role edit has of build.openshift.io.
OPENSHIFT_EDIT = {
    "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole",
    "metadata": {"name": "openshift-edit", "labels": {"rbac.authorization.k8s.io/aggregate-to-edit": "true"}},
    "rules": [{"apiGroups": [GROUP], "resources": ["buildconfigs", "buildconfigs/webhooks", "builds"],
               "verbs": ["get", "list", "watch", "create", "update", "patch", "delete", "deletecollection"]},
              {"apiGroups": [GROUP], "resources": ["buildconfigs/instantiate", "buildconfigs/instantiatebinary", "builds/clone", "builds/docker"],
               "verbs": ["create"]}]}
# Each command of a BuildConfig "cart" that is there.
COMMANDS = [
    ["status"], ["status", "cart"], ["url", "cart", "github", "--with-secret"], ["history", "cart"], ["explain", "cart", "--ref=main"], ["explain", "cart", PAYLOAD],
    ["add-trigger", "cart", "github"], ["test", "cart", "github", "--dry-run"], ["test", "cart", "github", "--commit", COMMIT],
    ["send", "cart", "github", PAYLOAD], ["rotate", "cart"], ["start", "cart"], ["start", "cart", "--commit", COMMIT], ["cancel", "cart-2"],
    ["redeliver", "cart", "ID"], ["uninstall", "--dry-run"]]


@pytest.fixture
def buildhook(start):
    port = free_port()
    return start(f"--public-url=http://127.0.0.1:{port}", f"--listen=127.0.0.1:{port}", "--status-interval=100ms")


def bound(cluster, namespace, directory, role):
    """An owner whose rights are those of a ClusterRole, in NAMESPACE."""
    owner = Owner(cluster, namespace, directory, [])
    cluster.kubectl("create", "rolebinding", "bound", "-n", namespace, f"--clusterrole={role}", f"--serviceaccount={namespace}:owner")
    return owner


def test_role_edit_is_enough_for_every_command_and_for_one_namespace(cluster, buildhook, namespace, tmp_path):
    cluster.kubectl("apply", "-f", "-", stdin=(yaml.safe_dump(OPENSHIFT_EDIT) if cluster.openshift else
                    (ROOT / "manifests" / "overlays" / "kubernetes" / "user-roles.yaml").read_text()))
    owner = bound(cluster, namespace, tmp_path, "edit")
    cluster.create(namespace, buildconfig("cart"))
    wait_for("the rights", lambda: "yes" in cluster.kubectl("auth", "can-i", "patch", "buildconfigs.build.openshift.io", "-n", namespace,
                                                            f"--as=system:serviceaccount:{namespace}:owner", check=False))
    ready(cluster, namespace, "cart")
    for args in COMMANDS:
        if "ID" in args:
            args = [*args[:-1], cluster.builds(namespace)[0]["metadata"]["annotations"]["buildhook.io/delivery-id"]]
        owner.ok(*args, *(["-n", namespace] if args[0] == "uninstall" else []), timeout=90)
    elsewhere = cluster.namespace()
    for args in [*COMMANDS, ["logs", "cart"]]:
        text = owner.fails(*args, "-n", elsewhere)
        assert text.startswith(f"Error from server (Forbidden): {'builds' if args[0] in ('cancel', 'logs') else 'buildconfigs'}.build.openshift.io"), text
        assert f'in the namespace "{elsewhere}"\nAsk an admin of the namespace for that right; `kubectl auth can-i --list -n {elsewhere}`' in text, text
    for args in (["status", "-A"], ["uninstall"]):
        text = owner.fails(*args)
        assert "at the cluster scope\nThat is for admins of the cluster; " in text and ("without -A" in text) == ("-A" in args), text


@pytest.fixture
def git_host():
    host = GitHub()
    yield host
    host.close()


def test_role_edit_is_enough_for_the_git_host_the_log_and_the_page(cluster, buildhook, namespace, tmp_path, git_host):
    """What the other tests of these commands try with the rights of an admin, or on one kind of cluster."""
    cluster.kubectl("apply", "-f", "-", stdin=(yaml.safe_dump(OPENSHIFT_EDIT) if cluster.openshift else
                    (ROOT / "manifests" / "overlays" / "kubernetes" / "user-roles.yaml").read_text()))
    owner = bound(cluster, namespace, tmp_path, "edit")
    body = buildconfig("cart")
    body["spec"]["source"]["git"]["uri"] = f"{git_host.origin}/shop/cart.git"
    cluster.create(namespace, body)
    ready(cluster, namespace, "cart")
    git_host.deliver = lambda url, headers, raw: buildhook.request(path_of(url), raw, headers)
    flags, env = ["--host", "github", "--api-url", git_host.api], {"BUILDHOOK_TOKEN": TOKEN}
    assert " made" in owner.ok("register", "cart", *flags, env=env)
    assert "The secret is right" in owner.ok("register", "cart", *flags, "--check", env=env)
    assert "removed" in owner.ok("register", "cart", *flags, "--remove", "--yes", env=env)
    owner.ok("start", "cart")
    ended = {"status": {"phase": "Failed", "logSnippet": "no such file"}}
    cluster.custom.patch_namespaced_custom_object(GROUP, "v1", namespace, "builds", "cart-1", ended)
    assert owner.ok("logs", "cart") == "no such file\n"

    elsewhere = cluster.namespace()
    assert 'cannot get resource "buildconfigs"' in owner.fails("register", "cart", *flags, "-n", elsewhere, env=env)
    page = Page(owner.kubeconfig)
    try:
        cookie = page.sign_in()
        assert f"/hooks/{namespace}/cart/github" in page.request("GET", "/", cookie)[1]
        _, text = page.request("GET", f"/bc/{namespace}/cart", cookie)
        token = re.search(r'name="token" value="(\w+)"', text)[1]
        form = {**cookie, "Content-Type": "application/x-www-form-urlencoded", "Origin": f"http://{page.address}"}
        _, text = page.request("POST", f"/bc/{namespace}/cart/secret", form, f"token={token}&type=github")
        assert cluster.secret_value(namespace, "cart-hook") in text
    finally:
        page.stop()
    page = Page(owner.kubeconfig, "--namespace", elsewhere)
    try:
        cookie = page.sign_in()
        wait_for("what RBAC refuses", lambda: "forbidden" in page.request("GET", "/", cookie)[1])
    finally:
        page.stop()


def test_a_viewer_is_told_which_right_is_missing(cluster, buildhook, namespace, tmp_path):
    viewer = Owner(cluster, namespace, tmp_path, [{"apiGroups": [GROUP], "resources": ["buildconfigs", "builds"], "verbs": ["get", "list", "watch"]}])
    cluster.create(namespace, buildconfig("cart"))
    ready(cluster, namespace, "cart")
    for args in (["status"], ["url", "cart"], ["history", "cart"], ["explain", "cart", "--ref=main"]):
        viewer.ok(*args)
    for args, verb, resource in ((["add-trigger", "cart", "gitlab"], "patch", "buildconfigs"), (["redeliver", "cart", "x"], "patch", "buildconfigs"),
                                 (["rotate", "cart"], "get", "secrets"), (["test", "cart", "github"], "get", "secrets"),
                                 (["send", "cart", "github", PAYLOAD], "get", "secrets"), (["url", "cart", "--with-secret"], "get", "secrets"),
                                 (["start", "cart"], "create", "buildconfigs/instantiate" if cluster.openshift else "builds")):
        text = viewer.fails(*args)
        assert text.startswith("Error from server (Forbidden): ") and f'cannot {verb} resource "{resource}"' in text, (args, text)
        assert "Ask an admin of the namespace for that right" in text
    assert [t["type"] for t in cluster.get(namespace, "cart")["spec"]["triggers"]] == ["GitHub"] and not cluster.builds(namespace)
