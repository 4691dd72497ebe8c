"""The address that is shown: from the flag, else from the Route or Ingress that points at buildhook's Service."""

import pytest
import yaml

from harness import ROOT, Buildhook, buildconfig, wait_for


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


def test_on_openshift_the_manifests_route_says_it_as_soon_as_it_has_a_host(openshift_cluster, tmp_path):
    cluster = openshift_cluster
    namespace = cluster.namespace()
    overlay = ROOT / "manifests" / "overlays" / "openshift"
    cluster.kubectl("apply", "--server-side", "--force-conflicts", "-k", overlay)
    try:
        buildhook = Buildhook(cluster.service_account_kubeconfig(tmp_path / "kubeconfig"), tmp_path / "buildhook")
        cluster.create(namespace, buildconfig("cart"))
        assert shown(cluster, namespace) == f"/hooks/{namespace}/cart/github"
        assert buildhook.stop() == 0
        # What the router does.
        host = '{"status": {"ingress": [{"host": "buildhook-buildhook.apps.example.com"}]}}'
        cluster.kubectl("patch", "route", "buildhook", "-n", "buildhook", "--subresource=status", "--type=merge", "-p", host)
        buildhook.start()
        full = f"https://buildhook-buildhook.apps.example.com/hooks/{namespace}/cart/github"
        wait_for("the whole URL", lambda: shown(cluster, namespace) == full)
        assert buildhook.stop() == 0
        buildhook.check_log()
    finally:
        cluster.kubectl("delete", "route", "buildhook", "-n", "buildhook")
        cluster.kubectl("apply", "--server-side", "--force-conflicts", "-k", ROOT / "manifests")
