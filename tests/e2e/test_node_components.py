"""The components of docs/deploy.md, run on a real node; the test plays the controllers that are not installed."""

import contextlib
import http.client
import json
import shutil
import socket
import ssl
import subprocess
import uuid

import pytest
import yaml

from harness import PRODUCT_IMAGE, ROOT, Answer, Node, buildconfig, github_headers, github_payload, wait_for
from test_journal import big_push
from test_node import Service

HOST = "hooks.example.com"
FOREIGN = {"Certificate": "cert-manager.io/v1", "HTTPRoute": "gateway.networking.k8s.io/v1",
           "PodMonitor": "monitoring.coreos.com/v1", "PrometheusRule": "monitoring.coreos.com/v1"}


@pytest.fixture
def own_node(tmp_path, archive):
    """Nothing is deployed here but what the test applies."""
    node = Node(tmp_path / "node")
    try:
        node.load(archive)
        with node.network():
            yield node
    finally:
        node.down()


def apply(node, tmp_path, components, patches=()):
    """A user's own overlay."""
    shutil.copytree(ROOT / "manifests", tmp_path / "manifests")
    folder = tmp_path / "manifests" / "overlays" / "mine"
    folder.mkdir()
    (folder / "kustomization.yaml").write_text(yaml.safe_dump({
        "apiVersion": "kustomize.config.k8s.io/v1beta1", "kind": "Kustomization", "resources": ["../kubernetes"],
        "components": [f"../../components/{c}" for c in components], "patches": list(patches),
        "images": [{"name": "buildhook", "newName": PRODUCT_IMAGE, "newTag": "test"}],
    }))
    node.kubectl("apply", "--server-side", "-k", folder)
    node.kubectl("rollout", "status", "statefulset/buildhook", "-n", "buildhook", "--timeout=120s")


def define(node, kind, api_version):
    """The kind of a project that is not installed, without its schema."""
    group, version = api_version.split("/")
    names = {"kind": kind, "plural": f"{kind.lower()}s", "singular": kind.lower()}
    schema = {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}}
    node.kubectl("apply", "-f", "-", stdin=json.dumps({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "metadata": {
            "name": f"{names['plural']}.{group}", "annotations": {"api-approved.kubernetes.io": "unapproved, for a test"}},
        "spec": {"group": group, "scope": "Namespaced", "names": names,
                 "versions": [{"name": version, "served": True, "storage": True, "schema": schema}]}}))
    node.kubectl("wait", "--for=condition=Established", "crd", f"{names['plural']}.{group}", "--timeout=30s")


def make_certificate(node, folder):
    """The Secret that cert-manager makes for the Certificate."""
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2", "-subj", f"/CN={HOST}",
                    "-addext", f"subjectAltName=DNS:{HOST}", "-keyout", folder / "tls.key", "-out", folder / "tls.crt"], check=True, capture_output=True)
    node.kubectl("create", "secret", "tls", "buildhook-tls", "-n", "buildhook", f"--cert={folder / 'tls.crt'}", f"--key={folder / 'tls.key'}")


def service_address(node):
    return node.get_json("service", "buildhook", "-n", "buildhook")["spec"]["clusterIP"], 443


NGINX = """\
daemon off;
user root;
pid @DIR@/nginx.pid;
error_log stderr;
events {}
http {
    access_log off;
    client_body_temp_path @DIR@/body;
    proxy_temp_path @DIR@/proxy;
    fastcgi_temp_path @DIR@/fastcgi;
    uwsgi_temp_path @DIR@/uwsgi;
    scgi_temp_path @DIR@/scgi;
    server {
        listen 127.0.0.1:8443 ssl;
        server_name @HOST@;
        ssl_certificate @DIR@/tls.crt;
        ssl_certificate_key @DIR@/tls.key;
        client_max_body_size @SIZE@;
        location / {
            proxy_pass https://@SERVICE@;
            proxy_http_version 1.1;
            proxy_set_header Host $host;
            proxy_set_header X-Forwarded-For $remote_addr;
            proxy_ssl_name @HOST@;
            proxy_ssl_server_name on;
            proxy_ssl_verify on;
            proxy_ssl_trusted_certificate @DIR@/tls.crt;
        }
    }
}
"""


@contextlib.contextmanager
def ingress_controller(node, folder):
    """Does with the Ingress what ingress-nginx does, and encrypts again to the Service, as a Route does; gives its address."""
    ingress = node.get_json("ingress", "buildhook", "-n", "buildhook")
    (rule,) = ingress["spec"]["rules"]
    text = NGINX
    for name, value in (("DIR", folder), ("HOST", rule["host"]), ("SIZE", ingress["metadata"]["annotations"]["nginx.ingress.kubernetes.io/proxy-body-size"]),
                        ("SERVICE", "%s:%d" % service_address(node))):
        text = text.replace(f"@{name}@", str(value))
    (folder / "nginx.conf").write_text(text)
    process = subprocess.Popen(["nginx", "-c", folder / "nginx.conf", "-e", "stderr"], stderr=subprocess.DEVNULL)
    try:
        wait_for("nginx", (folder / "nginx.pid").exists)
        yield "127.0.0.1", 8443
    finally:
        process.terminate()
        process.wait()


class Https:
    """ADDRESS, as a client that checks the certificate reaches it."""

    def __init__(self, address, certificate):
        self.address = address
        self.context = ssl.create_default_context(cafile=certificate)

    def request(self, path, body, headers):
        connection = http.client.HTTPSConnection(HOST, timeout=30)
        connection.sock = self.context.wrap_socket(socket.create_connection(self.address, timeout=30), server_hostname=HOST)
        connection.request("POST", path, body=body, headers=headers)
        return Answer(connection.getresponse())


def test_without_volumes_in_one_namespace_with_tls_behind_an_ingress(own_node, tmp_path):
    node = own_node
    for kind, api_version in FOREIGN.items():
        define(node, kind, api_version)
    node.kubectl("apply", "--server-side", "-f", ROOT / "manifests" / "base" / "namespace.yaml")
    make_certificate(node, tmp_path)
    apply(node, tmp_path, ["cert-manager", "ephemeral", "gateway", "ingress", "monitoring", "single-namespace"])
    assert HOST in node.kubectl("describe", "certificate", "-n", "buildhook")
    for name in ("certificate", "httproute", "ingress", "podmonitor", "prometheusrule", "configmap/buildhook-dashboard"):
        node.kubectl("get", *(name.split("/") if "/" in name else (name, "buildhook")), "-n", "buildhook")
    assert not node.get_json("pvc", "-n", "buildhook")["items"]

    elsewhere = node.namespace("shop")
    for namespace in (elsewhere, "buildhook"):
        node.create(namespace, buildconfig("cart"))
    wait_for("the hook to be ready", lambda: node.annotation("buildhook", "cart", "github-state") == "Ready", 60)
    wait_for("its URL", lambda: node.annotation("buildhook", "cart", "github-url") == f"https://{HOST}/hooks/buildhook/cart/github", 60)
    body = json.dumps(github_payload()).encode()
    headers = github_headers(node.secret_value("buildhook", "cart-hook"), body)
    answer = Https(service_address(node), tmp_path / "tls.crt").request("/hooks/buildhook/cart/github", body, headers)
    assert answer.status == 200 and answer.json["kind"] == "Build", answer.body
    # Larger than nginx's default limit.
    large = json.dumps({**github_payload(), "padding": "x" * (2 << 20)}).encode()
    with ingress_controller(node, tmp_path) as address:
        answer = Https(address, tmp_path / "tls.crt").request("/hooks/buildhook/cart/github", large, github_headers(node.secret_value("buildhook", "cart-hook"), large))
    assert answer.status == 200 and answer.json["metadata"]["name"] == "cart-2", answer.body
    # It does not watch another namespace, and has no right to read there.
    assert not node.get(elsewhere, "cart")["metadata"].get("annotations") and node.find_secret_value(elsewhere, "cart-hook") is None
    account = "--as=system:serviceaccount:buildhook:buildhook"
    assert node.run_kubectl("auth", "can-i", "get", "secrets", "-n", elsewhere, account).stdout.strip() == "no"
    assert node.run_kubectl("auth", "can-i", "get", "secrets", "-n", "buildhook", account).stdout.strip() == "yes"


def state_of(node, pod):
    body = node.get_json("pod", pod, "-n", "buildhook")
    return body["metadata"]["uid"], body["status"]["phase"], [c["restartCount"] for c in body["status"].get("containerStatuses", [])]


@pytest.mark.long  # fills a journal, and waits for what the kubelet does about it
def test_a_journal_that_is_full_does_not_get_its_pod_evicted(own_node, tmp_path, figures):
    """A sixteenth of the sizes, in the same proportion."""
    node = own_node
    smaller = [
        {"op": "replace", "path": "/spec/template/spec/volumes/0/emptyDir/sizeLimit", "value": "32Mi"},
        {"op": "add", "path": "/spec/template/spec/containers/0/args/-", "value": "--journal-size=16MiB"},
        {"op": "add", "path": "/spec/template/spec/containers/0/args/-", "value": "--builds-per-minute=1"},
        {"op": "add", "path": "/spec/template/spec/containers/0/args/-", "value": "--build-burst=1"},
        {"op": "replace", "path": "/spec/replicas", "value": 1},
    ]
    apply(node, tmp_path, ["ephemeral"], [{"target": {"kind": "StatefulSet", "name": "buildhook"}, "patch": yaml.safe_dump(smaller)}])
    before = state_of(node, "buildhook-0")
    service = Service(node)
    trigger = {"type": "Generic", "generic": {"allowEnv": True, "secret": "open sesame"}}
    namespaces = [node.namespace() for _ in range(9)]
    for namespace in namespaces:
        node.create(namespace, buildconfig("cart", triggers=[trigger], annotations={"buildhook.io/refs": "*"}))
    wait_for("the hooks", lambda: all(big_push(service, n, uuid.uuid4()).status in (200, 202) for n in namespaces), 60)
    taken = 0
    for namespace in namespaces:
        while big_push(service, namespace, uuid.uuid4()).status != 503:
            taken += 1
    (volume,) = (node.dir).glob(f"**/pods/{before[0]}/volumes/kubernetes.io~empty-dir/journal")
    used = int(subprocess.run(["du", "-sB1", volume], check=True, capture_output=True, text=True).stdout.split()[0])
    assert 8 << 20 < used < 32 << 20
    with pytest.raises(AssertionError):
        wait_for("an eviction", lambda: state_of(node, "buildhook-0") != before, 40, 1)
    # A higher use would have been seen: the limit holds.
    (volume / "filler").write_bytes(b"x" * (40 << 20))
    wait_for("the eviction of a Pod over its limit", lambda: state_of(node, "buildhook-0") != before, 120, 1)
    figures(f"{taken} deliveries taken, {used / (1 << 20):.1f} MiB on disk of 16 MiB for the journal and 32 MiB for the volume; not evicted in 40 s")
