"""docs/cli.md is what the program prints, and docs/troubleshooting.md shows what really happens."""

import json
import re
import subprocess

import pytest
import yaml

from cli import owner, ready, web_server  # noqa: F401 - fixtures
from harness import BUILDHOOK, ROOT, Buildhook, buildconfig, github_headers, github_payload, push, wait_for

ROWS = [[cell.strip() for cell in line.strip("|\n ").split(" | ")]
        for line in (ROOT / "docs" / "troubleshooting.md").read_text().splitlines() if line.startswith("| ") and "---" not in line][1:]


def test_the_synopsis_is_the_programs_own():
    synopsis = subprocess.run([BUILDHOOK, "__synopsis"], text=True, capture_output=True, check=True).stdout
    assert synopsis in (ROOT / "docs" / "cli.md").read_text(), "docs/cli.md: replace the synopsis by what `buildhook __synopsis` prints"


def test_the_flags_that_the_troubles_name_exist():
    help_text = "".join(subprocess.run([BUILDHOOK, name, "--help"], text=True, capture_output=True, check=True).stdout
                        for name in ("serve", "url", "test", "explain", "status", "redeliver", "start", "add-trigger"))
    for flag in re.findall(r"--[a-z][a-z-]+", (ROOT / "docs" / "troubleshooting.md").read_text()):
        assert flag in help_text, flag


# buildhook does not watch BuildConfigs with this label.
UNWATCHED = {"watched": "no"}
FLAGS = ["--status-interval=100ms", "--selector=watched!=no", "--rotation-grace=1s", "--build-burst=1", "--builds-per-minute=1"]


@pytest.fixture(scope="module")
def buildhook(cluster, tmp_path_factory):
    directory = tmp_path_factory.mktemp("buildhook")
    buildhook = Buildhook(cluster.service_account_kubeconfig(directory / "kubeconfig"), directory, *FLAGS, "--public-url=https://hooks.example.com")
    yield buildhook
    buildhook.stop()
    buildhook.check_log()


class Trouble:
    """A BuildConfig "cart" whose next push has the trouble, and what its owner sees."""

    def __init__(self, cluster, buildhook, owner, start, directory):
        self.cluster, self.buildhook, self.owner, self.start, self.directory = cluster, buildhook, owner, start, directory
        self.namespace = owner.namespace

    def create(self, labels=None, **more):
        body = buildconfig("cart", **more)
        body["metadata"]["labels"] = labels or {}
        self.cluster.create(self.namespace, body)

    def make(self, **more):
        self.create(**more)
        ready(self.cluster, self.namespace, "cart")
        self.secret = self.cluster.secret_value(self.namespace, "cart-hook")

    def push(self, **payload):
        answer = push(self.buildhook, self.namespace, "cart", self.secret, **payload).json
        return f"{answer.get('reason')}: {answer.get('message')}"

    def pushed(self, annotations=None, **payload):
        self.make(annotations=annotations)
        return self.push(**payload)

    def sent(self, headers=None, event="push", body=None):
        self.make()
        body = json.dumps(body or github_payload()).encode()
        fields = {**github_headers(self.secret, body, event=event), **(headers or {})}
        answer = self.buildhook.request(f"/hooks/{self.namespace}/cart/github", body, fields).json
        return f"{answer.get('reason')}: {answer.get('message')}"

    def duplicate(self):
        self.make()
        return [self.push(delivery="d", commit="1" * 40) for _ in range(2)][1]

    def refused(self):
        self.make()
        self.secret = "wrong"
        return self.push()

    def queued(self):
        self.make()
        return [self.push() for _ in range(2)][1]

    def superseded(self):
        self.make()
        for _ in range(3):
            self.push()
        return wait_for("it to show", lambda: "Superseded" in (text := self.owner.ok("history", "cart")) and text)

    def not_ready(self):
        self.cluster.core.create_namespaced_secret(self.namespace, {"metadata": {"name": "cart-hook"}, "stringData": {"x": "y"}})
        self.create()
        wait_for("NotReady", lambda: self.cluster.annotation(self.namespace, "cart", "github-state").startswith("NotReady"))
        return self.owner.ok("status")

    def unwatched(self):
        self.create(labels=UNWATCHED)
        return self.owner.run("url", "cart").stderr_text

    def without_address(self):
        self.start("--selector=watched=no")
        self.create(labels=UNWATCHED)
        ready(self.cluster, self.namespace, "cart")
        return self.owner.fails("test", "cart", "github")

    def new(self):
        self.make()
        self.push()
        return self.owner.ok("status")

    def no_trigger(self):
        self.create(triggers=[])
        return self.owner.fails("url", "cart", "github")

    def inline(self):
        self.create(triggers=[{"type": "GitHub", "github": {"secret": "x"}}])
        return self.owner.fails("rotate", "cart")

    def outlived(self):
        """The old secret, after its time of grace."""
        self.make()
        self.owner.ok("rotate", "cart")
        wait_for("the end of the old one", lambda: "accept your secret" in self.push())
        return wait_for("it to show", lambda: "refused" in (text := self.owner.ok("status")) and text, 80)

    def tested(self, url):
        self.make()
        return self.owner.run("test", "cart", "github", "--url", f"{url}/hooks/{self.namespace}/cart/github").stdout_text

    def without_secret(self):
        self.make()
        self.cluster.core.delete_namespaced_secret("cart-hook", self.namespace)
        return self.owner.run("test", "cart", "github", "--url", f"http://{self.buildhook.address}/hooks/{self.namespace}/cart/github").stdout_text

    def tested_at(self, **more):
        with web_server(self.directory, **more) as url:
            return self.tested(url)

    def with_config(self, change):
        config = yaml.safe_load(self.owner.kubeconfig.read_text())
        change(config)
        self.owner.kubeconfig.write_text(yaml.safe_dump(config))
        return self.owner.fails("status")


TROUBLES = {
    "The Git host shows 401": lambda t: t.refused(),
    "The Git host shows 200, and nothing is built": lambda t: t.pushed(ref="refs/heads/wip"),
    "A tag is not built": lambda t: t.pushed(ref="refs/tags/v1"),
    "A push with changes elsewhere is not built": lambda t: t.pushed({"buildhook.io/paths": "src"}, commits=[
        {"id": "1" * 40, "added": [], "removed": [], "modified": ["README.md"]}]),
    "One commit is not built": lambda t: t.pushed({"buildhook.io/skip-ci": "true"}, commit="1" * 40, head_commit={"id": "1" * 40, "message": "[skip ci] x"}),
    "Nothing is built at all": lambda t: t.pushed({"openshift.io/build-config.paused": "true"}),
    "A push of a fork is not built": lambda t: t.pushed({"buildhook.io/repository": "match"}, repository="https://git.example.com/fork/cart.git"),
    "The delivery was sent again, and builds nothing": lambda t: t.duplicate(),
    "A deleted branch shows as ignored": lambda t: t.pushed(commit="0" * 40, deleted=True, head_commit=None, ref="refs/heads/main"),
    "The Git host shows 200 and Ping": lambda t: t.sent(event="ping"),
    "Only pull requests or issues arrive": lambda t: t.sent(event="issues"),
    "The Git host says 400": lambda t: t.sent({"Content-Type": "text/plain"}),
    "The Git host cannot connect": lambda t: t.tested("https://127.0.0.1:1"),
    "The Git host refuses the certificate": lambda t: t.tested_at(tls=True),
    "Something else answers": lambda t: t.tested_at(),
    "Only the newest of several pushes is built": lambda t: t.superseded(),
    "The Git host shows 202": lambda t: t.queued(),
    "A secret was rotated, and deliveries are refused later": lambda t: t.outlived(),
    "There is no URL": lambda t: t.unwatched(),
    "The URL has no host": lambda t: t.without_address(),
    "The state is NotReady": lambda t: t.not_ready(),
    "The BuildConfig has no webhook": lambda t: t.no_trigger(),
    "A Secret was deleted or emptied": lambda t: t.without_secret(),
    "rotate changes nothing": lambda t: t.inline(),
    "Builds stay New": lambda t: t.new(),
    "A command may not do it": lambda t: t.owner.fails("status", "-n", "default"),
    "A command is not logged in": lambda t: t.with_config(lambda c: c["users"][0]["user"].update(token="x")),
    "A command does not reach the cluster": lambda t: t.with_config(lambda c: c["clusters"][0]["cluster"].update(server="https://127.0.0.1:1")),
}


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[0])
def test_a_trouble_looks_as_the_page_says(cluster, buildhook, owner, start, tmp_path, row):
    """A row without an entry in TROUBLES fails."""
    seen = " ".join(TROUBLES[row[0]](Trouble(cluster, buildhook, owner, start, tmp_path)).split())
    words = re.findall(r"`([^`]+)`", row[1])
    assert words, row
    for part in re.split(r"\.\.\.", words[-1] if words[0] in ("test", "status") else words[0]):
        assert part.strip(" ;") in seen, (part, seen)


def test_each_of_the_25_likeliest_is_there():
    assert len(ROWS) >= 25 and {row[0] for row in ROWS} == set(TROUBLES)
