"""The address that is shown: from the flag, else from the Ingress or Route that points at buildhook's Service."""

import pytest
import yaml

from harness import buildconfig, wait_for

ROUTE_CRD = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {"name": "routes.route.openshift.io"},
    "spec": {
        "group": "route.openshift.io",
        "names": {"kind": "Route", "plural": "routes"},
        "scope": "Namespaced",
        "versions": [{
            "name": "v1", "served": True, "storage": True,
            "schema": {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}},
        }],
    },
}


def ingress(service, host):
    path = {"path": "/", "pathType": "Prefix", "backend": {"service": {"name": service, "port": {"number": 80}}}}
    return {
        "apiVersion": "networking.k8s.io/v1", "kind": "Ingress", "metadata": {"name": host.split(".")[0], "namespace": "buildhook"},
        "spec": {"tls": [{"hosts": [host]}], "rules": [{"host": host, "http": {"paths": [path]}}]},
    }


@pytest.fixture
def apply(cluster):
    applied = []

    def apply_one(body):
        cluster.kubectl("apply", "--server-side", "-f", "-", stdin=yaml.safe_dump(body))
        applied.append(body)

    yield apply_one
    for body in reversed(applied):
        cluster.kubectl("delete", "--ignore-not-found", "-f", "-", stdin=yaml.safe_dump(body))


def shown(cluster, namespace):
    return wait_for("the URL", lambda: cluster.annotation(namespace, "cart", "github-url"))


def test_the_flag_says_it(cluster, start, namespace):
    start("--public-url", "https://hooks.example.com/ci/")
    cluster.create(namespace, buildconfig("cart"))
    assert shown(cluster, namespace) == f"https://hooks.example.com/ci/hooks/{namespace}/cart/github"


def test_an_ingress_says_it(cluster, start, namespace, apply):
    apply(ingress("other", "wrong.example.com"))
    apply(ingress("buildhook", "hooks.example.com"))
    start()
    cluster.create(namespace, buildconfig("cart"))
    assert shown(cluster, namespace) == f"https://hooks.example.com/hooks/{namespace}/cart/github"


def test_a_route_says_it_first(cluster, start, namespace, apply):
    apply(ROUTE_CRD)
    cluster.kubectl("wait", "--for=condition=Established", "crd/routes.route.openshift.io", "--timeout=30s")
    apply(ingress("buildhook", "hooks.example.com"))
    wait_for("Routes to be served", lambda: cluster.run_kubectl("get", "routes.route.openshift.io", "-A").returncode == 0)
    apply({
        "apiVersion": "route.openshift.io/v1", "kind": "Route", "metadata": {"name": "buildhook", "namespace": "buildhook"},
        "spec": {"host": "route.example.com", "to": {"kind": "Service", "name": "buildhook"}, "tls": {"termination": "edge"}},
    })
    start()
    cluster.create(namespace, buildconfig("cart"))
    assert shown(cluster, namespace) == f"https://route.example.com/hooks/{namespace}/cart/github"
