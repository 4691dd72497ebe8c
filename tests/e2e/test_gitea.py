"""A real Gitea: `register` makes and mends its webhook, and a real push to it starts one build."""

import os
import pathlib
import subprocess
import time

import pytest

from cli import Owner, ready
from harness import Buildhook, buildconfig, free_port, wait_for

SCOPE = "write:repository"


@pytest.fixture(scope="module")
def place(kubernetes_cluster, git_host, tmp_path_factory):
    """Shared by all tests here: a buildhook with a public address, and an owner in a namespace."""
    cluster = kubernetes_cluster
    directory = tmp_path_factory.mktemp("gitea-tests")
    namespace = cluster.namespace()
    port = free_port()
    buildhook = Buildhook(cluster.service_account_kubeconfig(directory / "kubeconfig"), directory, "--listen", f"127.0.0.1:{port}",
                          "--public-url", f"http://127.0.0.1:{port}")
    yield Place(cluster, git_host, buildhook, namespace, Owner(cluster, namespace, directory))
    buildhook.stop()
    buildhook.check_log()
    cluster.kubectl("delete", "buildconfigs", "--all", "-n", namespace, "--wait=false")


class Place:
    def __init__(self, cluster, gitea, buildhook, namespace, owner):
        self.cluster, self.gitea, self.buildhook, self.namespace, self.owner = cluster, gitea, buildhook, namespace, owner
        self.made = 0

    def flags(self):
        return ["--host", "gitea", "--api-url", f"{self.gitea.origin}/api/v1"]

    def buildconfig(self, repository, **changes):
        """Of the repository; returns its name when its webhook is ready."""
        self.made += 1
        name = f"app{self.made}"
        body = buildconfig(name, **changes)
        body["spec"]["source"]["git"]["uri"] = f"{self.gitea.origin}/{repository}.git"
        self.cluster.create(self.namespace, body)
        ready(self.cluster, self.namespace, name)
        return name

    def register(self, name, *flags, token):
        return self.owner.ok("register", name, *self.flags(), *flags, env={"BUILDHOOK_TOKEN": token})

    def builds(self, name):
        return [b for b in self.cluster.builds(self.namespace) if b["metadata"]["name"].startswith(name + "-")]

    def secret(self, name):
        return self.cluster.secret_value(self.namespace, f"{name}-hook")

    def delivery(self, hook_id, number=1):
        """(uuid, status, body) of the newest of NUMBER."""
        def newest():
            found = self.gitea.deliveries(hook_id)
            return found[0] if len(found) == number else None

        return wait_for(f"{number} deliveries of Gitea", newest, 60)


@pytest.fixture(scope="module")
def token(git_host):
    return git_host.token(SCOPE)


def test_a_push_starts_one_build_and_what_the_host_repeats_none(place, token, tmp_path):
    gitea, repository = place.gitea, place.gitea.repository()
    name = place.buildconfig(repository)
    said = place.register(name, token=token)
    (hook,) = gitea.hooks(repository)
    assert f"webhook {hook['id']} of {repository} at Gitea made" in said
    url = f"http://{place.buildhook.address}/hooks/{place.namespace}/{name}/github"
    assert hook["config"] == {"url": url, "content_type": "json"} and hook["events"] == ["push"] and hook["active"] and hook["type"] == "gitea"

    clone = gitea.clone(repository, tmp_path / "clone")
    commit = gitea.push(clone, "the first")
    uuid, status, body = place.delivery(hook["id"])
    assert status == 200 and '"kind":"Build"' in body, (status, body)
    (build,) = place.builds(name)
    assert build["spec"]["revision"]["git"]["commit"] == commit
    assert build["metadata"]["annotations"]["buildhook.io/provider"] == "gitea"

    # Its buttons: Replay starts nothing, and neither does Test Delivery.
    press = gitea.browser()
    press(f"/{repository}/settings/hooks/{hook['id']}/replay/{uuid}")
    again, status, body = place.delivery(hook["id"], 2)
    assert again != uuid and status == 200 and "Duplicate" in body and f"{name}-1" in body, (status, body)
    press(f"/{repository}/settings/hooks/{hook['id']}/test")
    _, status, body = place.delivery(hook["id"], 3)
    assert status == 200 and "Ping" in body, (status, body)

    # Another branch, a deleted one and a tag build nothing; the next push builds.
    gitea.push(clone, "aside", "wip")
    gitea.git(clone, "push", "-q", "origin", ":wip")
    gitea.git(clone, "push", "-q", "origin", "HEAD:refs/tags/v1")
    second = gitea.push(clone, "the second")
    found = wait_for("the second build", lambda: place.builds(name)[1:], 60)
    assert [b["spec"]["revision"]["git"]["commit"] for b in found] == [second]
    wait_for("all deliveries", lambda: len(gitea.deliveries(hook["id"])) >= 6, 60)
    assert all(status == 200 for _, status, _ in gitea.deliveries(hook["id"])), gitea.deliveries(hook["id"])
    assert len(place.builds(name)) == 2


def test_register_mends_what_differs_and_leaves_the_rest(place, token):
    gitea, repository = place.gitea, place.gitea.repository()
    name = place.buildconfig(repository)
    place.register(name, token=token)
    (made,) = gitea.hooks(repository)

    # A correct webhook is left as it is, and the test of it builds nothing.
    assert "nothing differed" in place.register(name, token=token)
    assert "The secret is right" in place.register(name, "--check", token=token)
    assert [h["id"] for h in gitea.hooks(repository)] == [made["id"]] and not place.builds(name)

    path = f"/repos/{repository}/hooks/{made['id']}"
    moved = f"http://127.0.0.1:1/hooks/{place.namespace}/{name}/github"
    for change, words in (({"config": {"url": moved}}, "expected http"), ({"config": {"content_type": "form"}}, "form; expected application/json"),
                          ({"events": ["push", "issues", "release"]}, "more than push"), ({"events": ["create"]}, "no push"),
                          ({"active": False}, "active          no")):
        gitea.call("PATCH", path, {"active": True, "events": ["push"], **change})
        checked = place.owner.run("register", name, *place.flags(), "--check", env={"BUILDHOOK_TOKEN": token})
        assert checked.returncode == 1 and words in checked.stdout_text, (change, checked.stdout_text, checked.stderr_text)
        assert words in place.register(name, token=token)
        (now,) = gitea.hooks(repository)
        assert {k: now[k] for k in ("active", "events", "config", "type")} == {k: made[k] for k in ("active", "events", "config", "type")}, change
        path = f"/repos/{repository}/hooks/{now['id']}"

    # A branch filter that the owner has set stays.
    gitea.call("PATCH", path, {"active": False, "events": ["push"], "branch_filter": "{main,release/*}"})
    place.register(name, token=token)
    assert [h["branch_filter"] for h in gitea.hooks(repository)] == ["{main,release/*}"]
    assert "removed" in place.register(name, "--remove", "--yes", token=token)
    assert gitea.hooks(repository) == []


def test_a_new_secret_reaches_the_host(place, token, tmp_path):
    """Gitea's API never changes the secret of a webhook that exists."""
    gitea, repository = place.gitea, place.gitea.repository()
    name = place.buildconfig(repository)
    place.register(name, token=token)
    old = place.secret(name)
    place.owner.ok("rotate", name, timeout=90)
    assert place.secret(name) != old
    # The old secret still passes, so a test that is accepted proves nothing.
    assert "older secret" in place.register(name, "--check", token=token)
    assert "set again" in place.register(name, token=token)
    secret = place.cluster.core.read_namespaced_secret(f"{name}-hook", place.namespace)
    del secret.data["WebHookSecretKey.previous"]
    place.cluster.core.replace_namespaced_secret(f"{name}-hook", place.namespace, secret)
    time.sleep(1)
    assert "The secret is right" in place.register(name, "--check", token=token)
    gitea.push(gitea.clone(repository, tmp_path / "clone"))
    wait_for("the build", lambda: len(place.builds(name)) == 1, 60)


def test_what_a_token_lacks_is_said(place, git_host):
    gitea, repository = git_host, git_host.repository(private=True)
    name = place.buildconfig(repository)

    def refused(token):
        return place.owner.fails("register", name, *place.flags(), env={"BUILDHOOK_TOKEN": token})

    for token, words in ((gitea.token("read:repository"), ("403", "write:repository", "read:repository")),
                         (gitea.token("write:user"), ("403", "write:repository", "write:user")),
                         ("0" * 40, ("401", "write:repository"))):
        said = refused(token)
        assert all(word in said for word in words) and token not in said, said
    # A stranger does not learn that there is such a repository; a collaborator that it needs an administrator.
    password = gitea.add_user("eve")
    token = gitea.token(SCOPE, user="eve", password=password)
    said = refused(token)
    assert "404" in said and "admin of the repository" in said, said
    gitea.call("PUT", f"/repos/{repository}/collaborators/eve", {"permission": "write"})
    said = refused(token)
    assert "403" in said and "admin of the repository" in said, said
    gitea.call("PUT", f"/repos/{repository}/collaborators/eve", {"permission": "admin"})
    assert " made" in place.register(name, token=token)


def test_the_token_is_in_no_argument_log_or_file(place, token, tmp_path):
    gitea, repository = place.gitea, place.gitea.repository()
    name = place.buildconfig(repository)
    file = tmp_path / "token"
    file.write_text(token + "\n")
    home = tmp_path / "home"
    home.mkdir()
    process = place.owner.start("register", name, *place.flags(), "--token-file", str(file), env={"HOME": str(home), "TMPDIR": str(home)}, cwd=home)
    arguments = set()
    while process.poll() is None:
        for entry in pathlib.Path("/proc").glob("[0-9]*/cmdline"):
            try:
                arguments.add(entry.read_bytes())
            except OSError:
                pass
        time.sleep(0.02)
    out, err = process.communicate()
    assert process.returncode == 0, err
    secret = place.secret(name)
    assert any(b"register" in one for one in arguments)
    for canary in (token, secret):
        assert not any(canary.encode() in one for one in arguments)
        assert canary not in out + err and canary not in place.buildhook.log() and canary not in gitea.log()
    assert not os.listdir(home)


def test_an_unknown_host_is_recognised_without_the_token(place, token):
    gitea, repository = place.gitea, place.gitea.repository(private=True)
    name = place.buildconfig(repository)
    said = place.owner.fails("register", name, env={"BUILDHOOK_TOKEN": token}, start_new_session=True)
    assert f"--host gitea --api-url {gitea.origin}/api/v1" in said and gitea.hooks(repository) == []
    done = subprocess.run(["git", "ls-remote", f"{gitea.origin}/{repository}.git"], env={**os.environ, "GIT_TERMINAL_PROMPT": "0"},
                          capture_output=True, check=False)
    assert done.returncode != 0  # private indeed
