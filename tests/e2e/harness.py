"""Shared by the tests: a real cluster, the real program, and a Git host that signs as the real ones do."""

import base64
import contextlib
import ctypes
import hashlib
import hmac
import http.client
import json
import os
import pathlib
import random
import re
import signal
import socket
import ssl
import subprocess
import time
import uuid

import yaml
from kubernetes import client, config

ROOT = pathlib.Path(__file__).resolve().parents[2]
DEVCLUSTER = ROOT / "build" / "devcluster"
BUILDHOOK = pathlib.Path(os.environ.get("BUILDHOOK", ROOT / "build" / "buildhook-asan"))
RELEASED = ROOT / "build" / "buildhook"
# The most that a process may have, whatever it is sent, with the limits that are set unless told otherwise.
MEMORY_MIB = 64
GROUP, VERSION = "build.openshift.io", "v1"
SECRET_KEY = "WebHookSecretKey"
# The image store of the tests, apart from this machine's own.
CONTAINER_STORE = ROOT / "build" / "containers"
PRODUCT_IMAGE = "localhost/buildhook"
LONG = float(os.environ.get("LONG", "0"))


def scaled(short, long):
    """The size of a test: SHORT is what `make test` has time for, LONG what `make test-long` does, LONG=0.1 a tenth of it."""
    return max(short, int(long * LONG))


def free_port(address="127.0.0.1"):
    """Below those that the system gives to connections and to who asks for any, so that nobody takes it before it is listened on."""
    while True:
        with contextlib.suppress(OSError), socket.create_server((address, random.randrange(20000, 32768))) as free:
            return free.getsockname()[1]


def wait_for(what, probe, timeout=60.0, interval=0.05):
    """The first true result of PROBE; fails after TIMEOUT seconds with WHAT it waited for."""
    deadline = time.monotonic() + timeout
    while True:
        result = probe()
        if result:
            return result
        assert time.monotonic() < deadline, f"waited {timeout} s for {what}"
        time.sleep(interval)


class Cluster:
    """A development cluster of its own, with the CRDs and buildhook's manifests applied."""

    program = DEVCLUSTER
    running: "list[Cluster]" = []

    def __init__(self, directory, openshift=False):
        self.openshift = openshift
        self.start(directory, *(["--openshift"] if openshift else []))
        Cluster.running.append(self)
        if not openshift:
            self.kubectl("apply", "--server-side", "-k", ROOT / "manifests" / "crds")
        self.kubectl("apply", "--server-side", "-k", ROOT / "manifests")
        if not openshift:
            self.kubectl("wait", "--for=condition=Established", "crd", "--all", "--timeout=30s")
        for plural in ("buildconfigs", "builds"):
            wait_for(f"{plural} to be served", lambda plural=plural: self._serves(plural))

    def start(self, directory, *flags):
        self.dir = pathlib.Path(directory)
        self.namespaces, self.kept = [], set()
        subprocess.run([self.program, "start", "--dir", self.dir, *flags], check=True, stdout=subprocess.PIPE)
        self.kubeconfig = self.dir / "kubeconfig"
        self.api = config.new_client_from_config(str(self.kubeconfig))
        self.core = client.CoreV1Api(self.api)
        self.custom = client.CustomObjectsApi(self.api)

    def run_kubectl(self, *args, stdin=None):
        command = [self.program, "kubectl", "--kubeconfig", self.kubeconfig, *args]
        return subprocess.run(command, input=stdin, text=True, capture_output=True, check=False)

    def _serves(self, plural):
        """Repeats a request: a CRD that was just made answers 429 until its storage is ready."""
        try:
            return self.custom.list_cluster_custom_object(GROUP, VERSION, plural)
        except client.ApiException:
            return None

    def kubectl(self, *args, stdin=None, check=True):
        done = self.run_kubectl(*args, stdin=stdin)
        assert not check or done.returncode == 0, f"kubectl {args}: {done.stderr}"
        return done.stdout

    def down(self):
        if self in Cluster.running:
            Cluster.running.remove(self)
        subprocess.run([self.program, "down", "--dir", self.dir], check=True)

    def stop_apiserver(self):
        subprocess.run([self.program, "apiserver-stop", "--dir", self.dir], check=True, stdout=subprocess.DEVNULL)

    def start_apiserver(self):
        subprocess.run([self.program, "apiserver-start", "--dir", self.dir], check=True, stdout=subprocess.DEVNULL)

    def service_account_kubeconfig(self, path, name="buildhook"):
        """A kubeconfig of the ServiceAccount: exactly the rights of the manifests."""
        token = self.kubectl("create", "token", name, "-n", "buildhook", "--duration=24h").strip()
        admin = yaml.safe_load(self.kubeconfig.read_text())
        admin["users"] = [{"name": "buildhook", "user": {"token": token}}]
        admin["contexts"] = [{"name": "buildhook", "context": {"cluster": admin["clusters"][0]["name"], "user": "buildhook", "namespace": "buildhook"}}]
        admin["current-context"] = "buildhook"
        path.write_text(yaml.safe_dump(admin))
        path.chmod(0o600)
        return path

    def namespace(self, prefix="t"):
        name = f"{prefix}-{uuid.uuid4().hex[:8]}"
        self.core.create_namespace({"metadata": {"name": name}})
        # OpenShift's builds use one of their own, which is made later.
        wanted = {"default", "builder"} if self.openshift else {"default"}
        wait_for("its ServiceAccounts", lambda: wanted <= {a.metadata.name for a in self.core.list_namespaced_service_account(name).items}, 60)
        self.namespaces.append(name)
        return name

    def keep(self, namespace):
        """Keeps the namespace's BuildConfigs for a later test."""
        self.kept.add(namespace)

    def clean(self, first):
        """Deletes the BuildConfigs of the namespaces after the first FIRST, except of those that are kept."""
        for namespace in self.namespaces[first:]:
            if namespace not in self.kept:
                wait_for("the BuildConfigs to be gone", lambda namespace=namespace: self._delete_buildconfigs(namespace), 600)
        self.namespaces[first:] = [n for n in self.namespaces[first:] if n in self.kept]

    def _delete_buildconfigs(self, namespace):
        """False where there are more than the API server can delete in one request."""
        try:
            return self.custom.delete_collection_namespaced_custom_object(GROUP, VERSION, namespace, "buildconfigs")
        except client.ApiException as error:
            if error.status != 504:
                raise
            return False

    def faults(self, *faults):
        """Replaces the faults of the front (hack/devcluster): ("lost-answer", 1), or a dict as the front takes it."""
        faults = [f if isinstance(f, dict) else dict(zip(("fault", "count"), f)) for f in faults]
        return self._front("PUT", json.dumps(faults).encode())

    def fault_hits(self):
        return [f["hits"] for f in self._front("GET")]

    def _front(self, method, body=None):
        tls = ssl.create_default_context(cafile=self.dir / "pki" / "ca.crt")
        port = int((self.dir / "front-port").read_text())
        connection = http.client.HTTPSConnection("127.0.0.1", port, context=tls, timeout=10)
        connection.request(method, "/devcluster/faults", body=body)
        answer = Answer(connection.getresponse())
        assert answer.status == 200, answer.body
        return answer.json

    def ensure_namespace(self, name):
        self.kubectl("create", "namespace", name, check=False)

    def create(self, namespace, body):
        return self.custom.create_namespaced_custom_object(GROUP, VERSION, namespace, "buildconfigs", body)

    def get(self, namespace, name):
        return self.custom.get_namespaced_custom_object(GROUP, VERSION, namespace, "buildconfigs", name)

    def patch(self, namespace, name, body):
        return self.custom.patch_namespaced_custom_object(GROUP, VERSION, namespace, "buildconfigs", name, body)

    def delete(self, namespace, name):
        return self.custom.delete_namespaced_custom_object(GROUP, VERSION, namespace, "buildconfigs", name)

    def builds(self, namespace):
        items = self.custom.list_namespaced_custom_object(GROUP, VERSION, namespace, "builds")["items"]
        return sorted(items, key=lambda b: int(b["metadata"]["annotations"]["openshift.io/build.number"]))

    def create_build(self, namespace, name, number):
        """Makes a Build as another client would."""
        metadata = {"name": name, "annotations": {"openshift.io/build.number": str(number)}}
        spec = {"strategy": {"dockerStrategy": {}}, "source": {"git": {"uri": "https://git.example.com/x.git"}}}
        body = {"apiVersion": f"{GROUP}/{VERSION}", "kind": "Build", "metadata": metadata, "spec": spec}
        return self.custom.create_namespaced_custom_object(GROUP, VERSION, namespace, "builds", body)

    def annotation(self, namespace, name, key):
        annotations = self.get(namespace, name)["metadata"].get("annotations") or {}
        return annotations.get("buildhook.io/" + key, "")

    def secret_value(self, namespace, name):
        data = self.core.read_namespaced_secret(name, namespace).data or {}
        return base64.b64decode(data[SECRET_KEY]).decode()

    def find_secret_value(self, namespace, name):
        """The Secret; None if there is no such Secret."""
        try:
            return self.secret_value(namespace, name)
        except client.ApiException as error:
            assert error.status == 404
            return None

    def events(self, namespace, reason):
        items = client.EventsV1Api(self.api).list_namespaced_event(namespace).items
        return [e for e in items if e.reason == reason]


class Node(Cluster):
    """A cluster with a real node, or two, and nothing applied. It can be reached within its network() only."""

    program = ROOT / "build" / "devcluster-node"

    def __init__(self, directory, nodes=1):
        subprocess.run([ROOT / "hack" / "cluster", "build", "--node"], check=True)
        self.openshift = False
        self.names = ["node", "node-2"][:nodes]
        self.start(directory, f"--nodes={nodes}")

    @contextlib.contextmanager
    def network(self):
        """This thread, and the processes that it starts, are in the node's network."""
        inside = re.search(r"--net=(\S+)", (self.dir / "enter").read_text())[1]
        libc = ctypes.CDLL(None, use_errno=True)

        def enter(namespace):
            assert libc.setns(namespace.fileno(), 0) == 0, os.strerror(ctypes.get_errno())

        with open("/proc/thread-self/ns/net", encoding="ascii") as outside, open(inside, encoding="ascii") as node:
            enter(node)
            try:
                yield self
            finally:
                enter(outside)

    def load(self, archive):
        """Loads an image from an OCI archive."""
        subprocess.run([self.program, "import", "--dir", self.dir, archive], check=True, stdout=subprocess.DEVNULL)

    def get_json(self, *args):
        return json.loads(self.kubectl("get", "-o", "json", *args))

    def add_volume(self, name, owner=0):
        """A folder for the next claim of 1 GiB, from each node."""
        folder = self.dir / "volumes" / name
        folder.mkdir(parents=True)
        os.chown(folder, owner, owner)
        terms = [{"matchExpressions": [{"key": "kubernetes.io/hostname", "operator": "In", "values": self.names}]}]
        self.core.create_persistent_volume({
            "metadata": {"name": name},
            "spec": {
                "capacity": {"storage": "1Gi"}, "accessModes": ["ReadWriteOnce"], "persistentVolumeReclaimPolicy": "Retain",
                "local": {"path": str(folder)}, "nodeAffinity": {"required": {"nodeSelectorTerms": terms}},
            },
        })


def buildconfig(name, triggers=None, ref="main", annotations=None, strategy=None):
    """A BuildConfig as a user writes it, with a GitHub trigger unless told otherwise."""
    if triggers is None:
        triggers = [{"type": "GitHub", "github": {"secretReference": {"name": f"{name}-hook"}}}]
    git = {"uri": f"https://git.example.com/shop/{name}.git"}
    if ref:
        git["ref"] = ref
    return {
        "apiVersion": f"{GROUP}/{VERSION}",
        "kind": "BuildConfig",
        "metadata": {"name": name, "annotations": annotations or {}},
        "spec": {
            "source": {"type": "Git", "git": git},
            "strategy": strategy or {"type": "Docker", "dockerStrategy": {}},
            "output": {"to": {"kind": "ImageStreamTag", "name": f"{name}:latest"}},
            "triggers": triggers,
        },
    }


class Answer:
    def __init__(self, response):
        self.status = response.status
        self.headers = response.headers
        self.body = response.read()

    @property
    def json(self):
        return json.loads(self.body)


class Buildhook:
    """The real program, run as its own ServiceAccount."""

    def __init__(self, kubeconfig, directory, *flags, env=None, ready=True, program=BUILDHOOK, before=()):
        """BEFORE: words of a command that executes it."""
        self.dir = pathlib.Path(directory)
        self.dir.mkdir(parents=True, exist_ok=True)
        self.program = None if before else pathlib.Path(program)
        self.command = [
            *before, str(program), "serve", "--kubeconfig", str(kubeconfig), "--data-dir", str(self.dir / "journal"),
            "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0", "--log-format", "json", *flags,
        ]
        self.env = {**os.environ, **(env or {})}
        self.log_path = self.dir / "log"
        self.start(ready)

    def start(self, wait_ready=True):
        offset = self.log_path.stat().st_size if self.log_path.exists() else 0
        self.launch()
        listening = wait_for("the log to say where it listens", lambda: self._find_listening(offset))
        self.address = listening["receiver"]
        self.admin = listening["admin"]
        if wait_ready:
            wait_for("/readyz", self.is_ready)

    def launch(self):
        """Starts the process without waiting for it."""
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(self.command, stderr=log, stdin=subprocess.DEVNULL, env=self.env)

    def _find_listening(self, offset):
        with open(self.log_path, encoding="utf-8", errors="replace") as log:
            log.seek(offset)
            text = log.read()
        assert self.process.poll() is None, f"buildhook ended: {text}"
        for line in text.splitlines():
            if line.startswith("{") and '"listening"' in line:
                return json.loads(line)
        return None

    def log(self):
        return self.log_path.read_text()

    def admin_get(self, path):
        connection = http.client.HTTPConnection(self.admin, timeout=10)
        connection.request("GET", path)
        return Answer(connection.getresponse())

    def is_ready(self, query=""):
        try:
            return self.admin_get("/readyz" + query).status == 200
        except OSError:
            return False

    def metric(self, name):
        """NAME with its labels."""
        text = self.admin_get("/metrics").body.decode()
        return float(re.search(rf"^{re.escape(name)} (\S+)$", text, re.M)[1])

    def is_settled(self):
        """True if no change waits to be started."""
        return sum(self.metric(f'buildhook_journal_rows{{state="{state}"}}') for state in ("accepted", "starting")) == 0

    def request(self, path, body=b"", headers=None, method="POST"):
        connection = http.client.HTTPConnection(self.address, timeout=30)
        connection.request(method, path, body=body, headers=headers or {})
        return Answer(connection.getresponse())

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def memory_mib(self, field):
        """FIELD: VmRSS, or VmHWM for the most that there was at once. 0 of a process that has just ended."""
        status = pathlib.Path(f"/proc/{self.process.pid}/status").read_text()
        found = re.search(rf"^{field}:\s+(\d+) kB", status, re.M)
        return int(found[1]) / 1024 if found else 0

    def stop(self):
        if self.process.poll() is not None:
            return self.process.returncode
        peak = self.memory_mib("VmHWM")
        self.process.send_signal(signal.SIGTERM)
        status = self.process.wait(timeout=25)
        # The bound holds for the released program in every test; a sanitizer takes more memory than that itself.
        assert self.program != RELEASED or peak <= MEMORY_MIB
        return status

    def check_log(self):
        """Fails if a sanitizer has reported anything."""
        text = self.log()
        assert not re.search("Sanitizer|runtime error:", text), text[-8000:]


def github_payload(ref="refs/heads/main", commit=None, repository="https://git.example.com/shop/cart.git", **changes):
    """GitHub's own example of a push, adapted."""
    payload = json.loads((ROOT / "tests" / "data" / "payloads" / "github-push.json").read_text())
    commit = commit or hashlib.sha1(uuid.uuid4().bytes).hexdigest()
    payload["ref"] = ref
    payload["after"] = commit
    payload["head_commit"]["id"] = commit
    payload["repository"]["clone_url"] = repository
    payload.update(changes)
    return payload


def github_headers(secret, body, delivery=None, event="push"):
    mac = hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
    return {
        "Content-Type": "application/json",
        "User-Agent": "GitHub-Hookshot/044aadd",
        "X-GitHub-Event": event,
        "X-GitHub-Delivery": delivery or str(uuid.uuid4()),
        "X-Hub-Signature-256": f"sha256={mac}",
    }


def push(buildhook, namespace, name, secret, delivery=None, event="push", **payload):
    """A signed push of GitHub's."""
    body = json.dumps(github_payload(**payload)).encode()
    return buildhook.request(f"/hooks/{namespace}/{name}/github", body, github_headers(secret, body, delivery, event))


def openshift_path(namespace, name, secret, kind):
    return f"/apis/{GROUP}/{VERSION}/namespaces/{namespace}/buildconfigs/{name}/webhooks/{secret}/{kind}"


def generic(buildhook, namespace, name, secret, body, media_type="application/json", **headers):
    """A POST with a bearer token."""
    headers = {"Authorization": f"Bearer {secret}", "Content-Type": media_type, **headers}
    return buildhook.request(f"/hooks/{namespace}/{name}/generic", body, headers)
