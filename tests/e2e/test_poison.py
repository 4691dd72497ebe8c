"""BuildConfigs of any shape, on a cluster whose schema accepts them: each affects only itself."""

import copy
import random

import pytest
from kubernetes import client

from harness import LONG, Cluster, buildconfig, openshift_path, scaled, wait_for
from pushers import INLINE, Ledger, check_one_build_each, in_parallel, make_hooks, wait_served

CRD = "buildconfigs.build.openshift.io"
ANYTHING = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
WRONG = [None, True, -1, 2**53 + 1, 1e300, "", "x" * 5000, "\u0000\u202e\ud7ff", [], {}, [[]], [None], {"": None}, ["x"] * 200, {"secret": 5}, {"name": {}}]


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    """A cluster that checks no schema of BuildConfigs."""
    cluster = Cluster(tmp_path_factory.mktemp("poison"))
    definitions = client.CustomObjectsApi(cluster.api)
    name = ("apiextensions.k8s.io", "v1", "customresourcedefinitions", CRD)
    definition = definitions.get_cluster_custom_object(*name)
    for version in definition["spec"]["versions"]:
        version["schema"] = {"openAPIV3Schema": ANYTHING}
    definitions.replace_cluster_custom_object(*name, definition)
    namespace = cluster.namespace()

    def takes_anything():
        try:
            return cluster.create(namespace, {**buildconfig("probe"), "spec": 5})
        except client.ApiException:
            return None

    wait_for("the schema to be gone", takes_anything)
    yield cluster
    cluster.down()


def places(value, path=()):
    """The places where a value can be replaced: all below spec and status."""
    if path:
        yield path
    children = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, child in children:
        if path or key in ("spec", "status"):
            yield from places(child, (*path, key))


def mutate(chance, body):
    body = copy.deepcopy(body)
    for _ in range(chance.randint(1, 3)):
        *path, last = chance.choice(list(places(body)))
        owner = body
        for key in path:
            owner = owner[key]
        owner[last] = copy.deepcopy(chance.choice(WRONG))
    return body


def deep(n):
    value = {}
    for _ in range(n):
        value = {"a": [value]}
    return value


def whole():
    trigger = {"secret": "inline", "secretReference": {"name": "hook"}, "allowEnv": False}
    body = buildconfig("x", triggers=[{"type": t, t.lower(): dict(trigger)} for t in ("GitHub", "GitLab", "Bitbucket", "Generic")])
    body["spec"]["source"]["contextDir"] = "app"
    body["spec"]["source"]["git"]["httpProxy"] = "http://proxy.example.com"
    body["status"] = {"lastVersion": 3, "imageChangeTriggers": []}
    return body


def poison(n):
    chance = random.Random(11)
    bodies = [mutate(chance, whole()) for _ in range(n)]
    bodies.append({**whole(), "spec": deep(100)})
    bodies.append({**whole(), "spec": {**whole()["spec"], "triggers": INLINE * 10000}})
    bodies.append({**whole(), "spec": {**whole()["spec"], "source": {"git": {"uri": "x" * (1 << 20)}}}})
    return [{**body, "metadata": {"name": f"poison-{i}"}} for i, body in enumerate(bodies)]


def test_objects_of_any_shape_hurt_only_themselves(cluster, start, figures):
    namespace = cluster.namespace()
    buildhook = start("--builds-per-minute", "0")
    healthy = make_hooks(cluster, 1, 5)
    bodies = poison(scaled(60, 10_000))
    taken, refused = [], []

    def create(i):
        for body in bodies[i::4]:
            try:
                cluster.create(namespace, body)
                taken.append(body["metadata"]["name"])
            except client.ApiException as error:
                refused.append((body["metadata"]["name"], error.status))

    in_parallel(4, create)
    assert len(taken) > len(bodies) * 0.9, refused[:5]
    late = make_hooks(cluster, 1, 1)
    wait_served(buildhook, healthy + late, 300 if LONG else 30)
    for name in taken[:: scaled(5, 50)]:
        for secret in ("inline", "wrong"):
            answer = buildhook.request(openshift_path(namespace, name, secret, "generic"))
            assert answer.status in (200, 202, 401, 503), answer.body
    ledger = Ledger()
    for hook in healthy + late:
        ledger.push(buildhook, hook)
    check_one_build_each(cluster, ledger)
    assert buildhook.process.poll() is None
    buildhook.kill()
    buildhook.start()
    wait_served(buildhook, healthy + late)
    buildhook.kill()
    figures(f"{len(taken)} objects of wrong shape, {len(refused)} more refused by the API server; all {len(healthy) + 1} healthy ones built")
