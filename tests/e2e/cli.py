"""Shared by the tests of the commands: an owner with the rights of one namespace, and the program run with these rights."""

import contextlib
import http.server
import os
import ssl
import subprocess
import threading

import pytest
import yaml

from harness import BUILDHOOK, GROUP, wait_for

CLUSTERS = ("kubernetes", "openshift")

# The rights of ClusterRole edit, with manifests/overlays/kubernetes/user-roles.yaml or OpenShift's own.
RULES = [
    {"apiGroups": [GROUP], "resources": ["buildconfigs", "builds", "buildconfigs/instantiate"], "verbs": ["*"]},
    {"apiGroups": [""], "resources": ["secrets", "pods", "pods/log"], "verbs": ["get", "list", "watch", "create", "update", "patch", "delete"]},
    {"apiGroups": ["", "events.k8s.io"], "resources": ["events"], "verbs": ["get", "list", "watch"]},
    {"apiGroups": [GROUP], "resources": [f"builds/{s}" for s in ("docker", "source", "custom")], "verbs": ["create"]},
]


class Caller:
    """Runs the program with a kubeconfig; that of a cluster lets it read all namespaces."""

    def __init__(self, kubeconfig):
        self.kubeconfig = kubeconfig

    def start(self, *args, env=None, program=BUILDHOOK, **more):
        env = {**os.environ, "KUBECONFIG": str(self.kubeconfig), "KUBERNETES_SERVICE_HOST": "", **(env or {})}
        return subprocess.Popen([program, *args], text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=env, **more)

    def run(self, *args, stdin=None, timeout=60, **more):
        process = self.start(*args, stdin=subprocess.PIPE, **more)
        process.stdout_text, process.stderr_text = process.communicate(stdin, timeout=timeout)
        assert "Sanitizer" not in process.stderr_text and "runtime error:" not in process.stderr_text, process.stderr_text
        return process

    def ok(self, *args, **more):
        """Runs a command that has to succeed; returns its stdout."""
        done = self.run(*args, **more)
        assert done.returncode == 0, (args, done.stdout_text, done.stderr_text)
        return done.stdout_text

    def fails(self, *args, status=1, **more):
        """Runs a command that has to fail; returns its stderr."""
        done = self.run(*args, **more)
        assert done.returncode == status, (args, done.returncode, done.stdout_text, done.stderr_text)
        return done.stderr_text


class Owner(Caller):
    """A ServiceAccount with a kubeconfig whose context has the namespace."""

    def __init__(self, cluster, namespace, directory, rules=None):
        self.namespace = namespace
        role = {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "metadata": {"name": "owner", "namespace": namespace},
                "rules": RULES if rules is None else rules}
        binding = {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding", "metadata": {"name": "owner", "namespace": namespace},
                   "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "owner"},
                   "subjects": [{"kind": "ServiceAccount", "name": "owner", "namespace": namespace}]}
        account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "owner", "namespace": namespace}}
        cluster.kubectl("apply", "-f", "-", stdin=yaml.safe_dump_all([role, binding, account]))
        token = cluster.kubectl("create", "token", "owner", "-n", namespace, "--duration=24h").strip()
        config = yaml.safe_load(cluster.kubeconfig.read_text())
        config["users"] = [{"name": "owner", "user": {"token": token}}]
        name = config["clusters"][0]["name"]
        config["contexts"] = [{"name": "mine", "context": {"cluster": name, "user": "owner", "namespace": namespace}},
                              {"name": "elsewhere", "context": {"cluster": name, "user": "owner", "namespace": "default"}}]
        config["current-context"] = "mine"
        self.config = config
        super().__init__(directory / f"owner-{namespace}")
        self.kubeconfig.write_text(yaml.safe_dump(config))
        self.kubeconfig.chmod(0o600)


@contextlib.contextmanager
def web_server(directory, tls=False, handler=http.server.SimpleHTTPRequestHandler):
    """Any HTTP server; TLS: with a certificate that nobody signed. Yields its address."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    if tls:
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj", "/CN=localhost",
                        "-keyout", directory / "web.key", "-out", directory / "web.crt"], check=True, capture_output=True)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(directory / "web.crt", directory / "web.key")
        server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http{'s' if tls else ''}://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


def fits(text):
    """No line is wider than a terminal; a single word and a command to copy are not broken."""
    wide = [line for line in text.splitlines() if len(line) > 80 and " " in line.strip() and not line.startswith("  kubectl ")]
    assert not wide, wide
    return text


@pytest.fixture(scope="module", params=CLUSTERS)
def cluster(request):
    return request.getfixturevalue(f"{request.param}_cluster")


@pytest.fixture
def owner(cluster, namespace, tmp_path):
    return Owner(cluster, namespace, tmp_path)


def ready(cluster, namespace, name, kind="github"):
    wait_for("Ready", lambda: cluster.annotation(namespace, name, f"{kind}-state") == "Ready")
