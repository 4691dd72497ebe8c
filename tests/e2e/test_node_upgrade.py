"""Versions rolled forward and back, Pods deleted, evicted and killed, on a real node under pushes: nothing is refused, lost or built twice."""

import collections
import contextlib
import itertools
import json
import os
import pathlib
import re
import signal
import subprocess
import threading
import time

import pytest

from harness import CONTAINER_STORE, DEVCLUSTER, PRODUCT_IMAGE, ROOT, wait_for
from pushers import Ledger, check_one_build_each, make_hooks, percentile, wait_served
from test_node import Service

RATE = 50  # pushes a second
CLIENTS = 250  # an answer may take --start-timeout (4 s), and the rate is to be the same meanwhile
STATEFUL_SET = ("statefulset/buildhook", "-n", "buildhook")


class Load:
    """Pushes of distinct refs, RATE a second, until it is left; a failure is raised there."""

    def __init__(self, node, service, hooks, needs_answers):
        self.ledger = Ledger(needs_answers=needs_answers)
        self.node, self.service, self.hooks = node, service, hooks
        self.stop, self.failures, self.numbers = threading.Event(), [], itertools.count()

    def push_on(self):
        while not self.stop.is_set() and not self.failures:
            n = next(self.numbers)
            time.sleep(max(0, self.began + n / RATE - time.monotonic()))
            try:
                self.ledger.push(self.service, self.hooks[n % len(self.hooks)], ref=f"refs/heads/{n}")
            except BaseException as failure:  # noqa: BLE001 - raised again at the end
                self.failures.append(failure)

    def __enter__(self):
        self.began, self.cpu = time.monotonic(), time.process_time()
        self.threads = [threading.Thread(target=self.push_on) for _ in range(CLIENTS)]
        for thread in self.threads:
            thread.start()
        time.sleep(2)
        return self

    def __exit__(self, *_):
        time.sleep(2)
        self.stop.set()
        for thread in self.threads:
            thread.join()
        self.cpu = time.process_time() - self.cpu
        assert not self.failures, self.failures[0]

    def said(self):
        pushes = self.ledger.deliveries
        answers = collections.Counter(d.answer.status for d in pushes)
        took = [d.took for d in pushes]
        seconds = max(d.sent for d in pushes) - self.began
        return (f"{len(pushes)} pushes in {seconds:.0f} s ({len(pushes) / seconds:.1f} a second), answers {dict(answers)}, "
                f"median {percentile(took, 0.5):.2f} s, slowest {max(took):.1f} s, CPU of this client {self.cpu:.0f} s")


def make_load_hooks(node):
    """Served without a limit of builds."""
    patch = [{"op": "add", "path": "/spec/template/spec/containers/0/args/-", "value": "--builds-per-minute=0"}]
    node.kubectl("patch", *STATEFUL_SET, "--type=json", "-p", json.dumps(patch))
    node.kubectl("rollout", "status", *STATEFUL_SET, "--timeout=180s")
    hooks = make_hooks(node, 2, 4, {"buildhook.io/refs": "*"})
    for _ in range(4):  # by both replicas
        wait_served(Service(node), hooks, 60)
    return hooks


def placed(node):
    """{Pod: its node}"""
    return {p["metadata"]["name"]: p["spec"].get("nodeName") for p in node.get_json("pods", "-n", "buildhook")["items"]}


def load_next(node, folder):
    """The image under the name of the next version, too."""
    store = ["--storage-driver", "vfs", "--root", CONTAINER_STORE / "root", "--runroot", CONTAINER_STORE / "run"]
    following = f"{PRODUCT_IMAGE}:next"
    subprocess.run(["buildah", *store, "push", "-q", f"{PRODUCT_IMAGE}:test", f"oci-archive:{folder}/next.tar:{following}"], check=True)
    node.load(folder / "next.tar")


@pytest.fixture
def hooks(deployed, node, archive, tmp_path):
    load_next(node, tmp_path)
    hooks = make_load_hooks(node)
    yield hooks
    node.run_kubectl("delete", "buildconfig", "--all", "-n", hooks[0][0])


def is_ready(node, pod, before):
    found = node.run_kubectl("get", "pod", pod, "-n", "buildhook", "-o", "json")
    body = json.loads(found.stdout) if found.returncode == 0 else None
    return body and body["metadata"]["uid"] != before and any(
        c["type"] == "Ready" and c["status"] == "True" for c in body["status"].get("conditions", []))


@contextlib.contextmanager
def replaced(node, pod):
    before = node.get_json("pod", pod, "-n", "buildhook")["metadata"]["uid"]
    yield
    wait_for(f"{pod} to be ready again", lambda: is_ready(node, pod, before), 120, 0.5)


def kill_process(node, pod):
    """Kills the process as the kernel does when memory runs out: without a warning."""
    uid = node.get_json("pod", pod, "-n", "buildhook")["metadata"]["uid"]
    killed = 0
    for process in pathlib.Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if f"/pod{uid}/" in (process / "cgroup").read_text() and (process / "comm").read_text() == "buildhook\n":
                os.kill(int(process.name), signal.SIGKILL)
                killed += 1
    assert killed == 1


def is_restarted(node, pod):
    (container,) = node.get_json("pod", pod, "-n", "buildhook")["status"]["containerStatuses"]
    return container["restartCount"] == 1 and container["ready"]


def roll(node, image):
    node.kubectl("set", "image", *STATEFUL_SET, f"buildhook={image}")
    node.kubectl("rollout", "status", *STATEFUL_SET, "--timeout=180s")


def evict(node, pod):
    """Evicts each Pod of a node, as kubectl drain does, within the PodDisruptionBudget."""
    body = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": pod, "namespace": "buildhook"}}
    node.kubectl("create", "--raw", f"/api/v1/namespaces/buildhook/pods/{pod}/eviction", "-f", "-", stdin=json.dumps(body))


@pytest.mark.long  # minutes of load
def test_graceful_steps_under_load_refuse_nothing_and_lose_nothing(node, hooks, figures):
    with Load(node, Service(node), hooks, needs_answers=True) as load:
        roll(node, f"{PRODUCT_IMAGE}:next")
        node.kubectl("rollout", "undo", *STATEFUL_SET)
        node.kubectl("rollout", "status", *STATEFUL_SET, "--timeout=180s")
        with replaced(node, "buildhook-0"):
            node.kubectl("delete", "pod", "buildhook-0", "-n", "buildhook")
        node.kubectl("cordon", "node")
        with replaced(node, "buildhook-1"):
            evict(node, "buildhook-1")
            time.sleep(8)  # its successor finds no node
            node.kubectl("uncordon", "node")
    assert load.ledger.refused == 0
    check_one_build_each(node, load.ledger, timeout=300, ordered=False)
    figures(f"{load.said()}, 0 refused, 0 cut, each built once")


@pytest.mark.long  # minutes of load
def test_a_killed_pod_cuts_only_what_is_in_flight_and_nothing_is_lost(node, hooks, figures):
    with Load(node, Service(node), hooks, needs_answers=False) as load:
        kill_process(node, "buildhook-0")
        wait_for("buildhook-0 to be ready again", lambda: is_restarted(node, "buildhook-0"), 120, 0.5)
        time.sleep(3)
        with replaced(node, "buildhook-1"):
            node.kubectl("delete", "pod", "buildhook-1", "-n", "buildhook", "--grace-period=0", "--force")
    check_one_build_each(node, load.ledger, timeout=300, ordered=False)
    figures(f"{load.said()}, {load.ledger.refused} sent again after a kill, each built once")


@pytest.mark.long  # a cluster of its own with two nodes
def test_a_drained_node_refuses_nothing_and_its_pod_moves_with_its_journal(two_nodes, figures):
    nodes = two_nodes
    hooks = make_load_hooks(nodes)
    before = placed(nodes)
    assert set(before.values()) == {"node", "node-2"}, before
    with Load(nodes, Service(nodes), hooks, needs_answers=True) as load:
        with replaced(nodes, "buildhook-1"):
            nodes.kubectl("drain", before["buildhook-1"], "--ignore-daemonsets", "--timeout=120s")
        assert set(placed(nodes).values()) == {before["buildhook-0"]}
        nodes.kubectl("uncordon", before["buildhook-1"])
    assert load.ledger.refused == 0
    check_one_build_each(nodes, load.ledger, timeout=300, ordered=False)
    figures(f"{load.said()}, 0 refused, 0 cut, each built once")


def blocks(title):
    """The commands of a section of docs/upgrade.md; each block as it is typed."""
    section = re.search(rf"^## {title}\n(.*?)(?=^## |\Z)", (ROOT / "docs" / "upgrade.md").read_text(), re.M | re.S)[1]
    return [re.sub(r"^ {4}", "", b, flags=re.M) for b in re.findall(r"(?:^ {4}.*\n)+", section, re.M)]


@pytest.fixture
def type_in(tmp_path, two_nodes):
    """Runs a block in a folder with a release's install.yaml, whose image is TAG."""
    tools = tmp_path / "bin"
    tools.mkdir()
    (tools / "kubectl").write_text(f'#!/bin/sh\nexec {DEVCLUSTER} kubectl "$@"\n')
    (tools / "kubectl").chmod(0o755)

    def type_in(block, tag):
        text = (ROOT / "manifests" / "install.yaml").read_text()
        (tmp_path / "install.yaml").write_text(text.replace("image: buildhook:latest", f"image: {PRODUCT_IMAGE}:{tag}"))
        # A person takes longer than kubectl port-forward to type the next command.
        script = re.sub(r" &$", " &\nuntil (exec 3<>/dev/tcp/127.0.0.1/8081) 2>/dev/null; do sleep 0.1; done", block, flags=re.M)
        done = subprocess.run(["bash", "-ec", "trap 'kill $(jobs -p) 2>/dev/null || true' EXIT\n" + script], cwd=tmp_path, capture_output=True, text=True,
                              timeout=240, check=False, env={"PATH": f"{tools}:/usr/bin:/bin", "KUBECONFIG": str(two_nodes.kubeconfig), "HOME": str(tmp_path)})
        assert done.returncode == 0, (block, done.stdout, done.stderr)
        return done.stdout

    return type_in


def images_of(node):
    pods = node.get_json("pods", "-n", "buildhook", "-l", "app.kubernetes.io/name=buildhook")["items"]
    return {p["spec"]["containers"][0]["image"] for p in pods if "deletionTimestamp" not in p["metadata"]}


def finish_rollout(node):
    node.kubectl("rollout", "status", *STATEFUL_SET, "--timeout=180s")


@pytest.mark.long  # rolls five times, on a cluster of its own
def test_the_documentation_upgrades_and_rolls_back(two_nodes, tmp_path, type_in):
    node = two_nodes
    load_next(node, tmp_path)
    (upgrade,), (apply, undo, forced, look, empty) = blocks("Upgrade"), blocks("Roll back")
    type_in(upgrade, "next")
    assert images_of(node) == {f"{PRODUCT_IMAGE}:next"}
    type_in(apply, "test")
    finish_rollout(node)
    assert images_of(node) == {f"{PRODUCT_IMAGE}:test"}
    # A version that never becomes ready.
    type_in(apply, "missing")
    wait_for("the rollout to stop", lambda: f"{PRODUCT_IMAGE}:missing" in images_of(node))
    assert Service(node).request("/", b"", {}).status == 404  # the other replica answers
    type_in(undo, "missing")
    finish_rollout(node)
    assert images_of(node) == {f"{PRODUCT_IMAGE}:test"}
    type_in(forced, "next")
    finish_rollout(node)
    assert images_of(node) == {f"{PRODUCT_IMAGE}:next"}
    for state in ("accepted", "starting"):
        assert f'buildhook_journal_rows{{state="{state}"}} 0\n' in type_in(look, "next")
    claims = {c["metadata"]["uid"] for c in node.get_json("pvc", "-n", "buildhook")["items"]}
    for i in range(2, 4):
        node.add_volume(f"journal-{i}")
    type_in(empty, "test")
    finish_rollout(node)
    assert images_of(node) == {f"{PRODUCT_IMAGE}:test"}
    assert not claims & {c["metadata"]["uid"] for c in node.get_json("pvc", "-n", "buildhook")["items"]}
