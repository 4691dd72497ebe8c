"""The address that is shown: from the flag, else from the Route, Ingress or HTTPRoute that points at buildhook's Service."""

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
    return wait_for("the URL", lambda: cluster.annotation(namespace, "cart", "github-url"), 240)


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


# The Gateway API's kinds as far as they matter here: its own definitions are no part of Kubernetes.
def gateway_kind(plural, kind):
    schema = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    version = {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}
    return {
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {
            "name": f"{plural}.gateway.networking.k8s.io",
            "annotations": {"api-approved.kubernetes.io": "unapproved, a test's own"},
        },
        "spec": {"group": "gateway.networking.k8s.io", "scope": "Namespaced", "versions": [version],
                 "names": {"plural": plural, "singular": kind.lower(), "kind": kind}},
    }


def http_route(service, hostnames, section="web"):
    rules = [{"matches": [{"path": {"type": "PathPrefix", "value": "/"}}], "backendRefs": [{"name": service, "port": 80}]}]
    return {
        "apiVersion": "gateway.networking.k8s.io/v1", "kind": "HTTPRoute",
        "metadata": {"name": f"to-{service}", "namespace": "buildhook"},
        "spec": {"parentRefs": [{"name": "gateway", "sectionName": section}], "hostnames": hostnames, "rules": rules},
    }


@pytest.mark.parametrize("hostnames, readable, expected", [
    (["*.example.com", "hooks.example.com"], True, "http://hooks.example.com"),
    ([], True, "http://listener.example.com"),
    # Without the right to read the Gateway the URL is https.
    (["hooks.example.com"], False, "https://hooks.example.com"),
    ([], False, ""),
])
def test_an_http_route_says_it(cluster, start, namespace, apply, hostnames, readable, expected):
    for plural, kind in (("gateways", "Gateway"), ("httproutes", "HTTPRoute")):
        apply(gateway_kind(plural, kind))
    cluster.kubectl("wait", "--for=condition=Established", "crd", "--all", "--timeout=30s")
    listeners = [{"name": "tls", "protocol": "HTTPS", "port": 443, "hostname": "wrong.example.com"},
                 {"name": "web", "protocol": "HTTP", "port": 80, "hostname": "listener.example.com"}]
    if readable:
        gateway = {"apiVersion": "gateway.networking.k8s.io/v1", "kind": "Gateway",
                   "metadata": {"name": "gateway", "namespace": "buildhook"}, "spec": {"listeners": listeners}}
        wait_for("Gateways to be served", lambda: cluster.run_kubectl("get", "gateways", "-n", "buildhook").returncode == 0)
        apply(gateway)
    wait_for("HTTPRoutes to be served", lambda: cluster.run_kubectl("get", "httproutes", "-n", "buildhook").returncode == 0)
    apply(http_route("other", ["wrong.example.com"]))
    apply(http_route("buildhook", hostnames))
    start()
    cluster.create(namespace, buildconfig("cart"))
    assert shown(cluster, namespace) == f"{expected}/hooks/{namespace}/cart/github"


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
        # The test writes the status that the router would write.
        host = '{"status": {"ingress": [{"host": "buildhook-buildhook.apps.example.com"}]}}'
        cluster.kubectl("patch", "route", "buildhook", "-n", "buildhook", "--subresource=status", "--type=merge", "-p", host)
        buildhook.start()
        full = f"https://buildhook-buildhook.apps.example.com/hooks/{namespace}/cart/github"
        wait_for("the whole URL", lambda: shown(cluster, namespace) == full, 240)
        assert buildhook.stop() == 0
        buildhook.check_log()
    finally:
        cluster.kubectl("delete", "route", "buildhook", "-n", "buildhook")
        cluster.kubectl("apply", "--server-side", "--force-conflicts", "-k", ROOT / "manifests")
