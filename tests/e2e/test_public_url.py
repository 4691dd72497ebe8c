"""The address that is shown: from the flag, else from the Ingress that points at buildhook's Service."""

import pytest
import yaml

from harness import buildconfig, wait_for

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
