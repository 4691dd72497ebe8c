"""Versions rolled forward and back, Pods deleted, evicted and killed, on a real node under pushes: nothing is refused, lost or built twice."""

import contextlib
import itertools
import json
import subprocess
import threading
import time

import pytest

from harness import CONTAINER_STORE, PRODUCT_IMAGE, wait_for
from pushers import Ledger, check_one_build_each, make_hooks, wait_served
from test_node import Service

RATE = 50  # pushes a second
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
        self.began = time.monotonic()
        self.threads = [threading.Thread(target=self.push_on) for _ in range(16)]
        for thread in self.threads:
            thread.start()
        time.sleep(2)
        return self

    def __exit__(self, *_):
        time.sleep(2)
        self.stop.set()
        for thread in self.threads:
            thread.join()
        self.took = time.monotonic() - self.began
        assert not self.failures, self.failures[0]


@pytest.fixture
def hooks(deployed, node, archive, tmp_path):
    """Served without a limit of builds. The image is there under the name of the next version, too."""
    patch = [{"op": "add", "path": "/spec/template/spec/containers/0/args/-", "value": "--builds-per-minute=0"}]
    node.kubectl("patch", *STATEFUL_SET, "--type=json", "-p", json.dumps(patch))
    store = ["--storage-driver", "vfs", "--root", CONTAINER_STORE / "root", "--runroot", CONTAINER_STORE / "run"]
    following = f"{PRODUCT_IMAGE}:next"
    subprocess.run(["buildah", *store, "push", "-q", f"{PRODUCT_IMAGE}:test", f"oci-archive:{tmp_path}/next.tar:{following}"], check=True)
    node.load(tmp_path / "next.tar")
    node.kubectl("rollout", "status", *STATEFUL_SET, "--timeout=180s")
    hooks = make_hooks(node, 2, 4, {"buildhook.io/refs": "*"})
    for _ in range(4):  # by both replicas
        wait_served(Service(node), hooks, 60)
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


def roll(node, image):
    node.kubectl("set", "image", *STATEFUL_SET, f"buildhook={image}")
    node.kubectl("rollout", "status", *STATEFUL_SET, "--timeout=180s")


def evict(node, pod):
    """What kubectl drain does with each Pod of a node; the PodDisruptionBudget has its say."""
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
    pushes = load.ledger.deliveries
    assert load.ledger.refused == 0
    check_one_build_each(node, load.ledger, timeout=300, ordered=False)
    figures(f"{len(pushes)} pushes in {load.took:.0f} s ({len(pushes) / load.took:.0f} a second), 0 refused, 0 cut, each built once; "
            f"slowest answer {max(d.took for d in pushes):.1f} s")


@pytest.mark.long  # minutes of load
def test_a_killed_pod_cuts_only_what_is_in_flight_and_nothing_is_lost(node, hooks, figures):
    with Load(node, Service(node), hooks, needs_answers=False) as load:
        for pod in ("buildhook-0", "buildhook-1"):
            with replaced(node, pod):
                node.kubectl("delete", "pod", pod, "-n", "buildhook", "--grace-period=0", "--force")
            time.sleep(3)
    check_one_build_each(node, load.ledger, timeout=300, ordered=False)
    figures(f"{len(load.ledger.deliveries)} pushes in {load.took:.0f} s, {load.ledger.refused} sent again after a kill, each built once")
