"""The build controller against a real API server. There is no node: the test writes the status of Pods."""

import base64
import collections
import http.client
import json
import os
import random
import re
import signal
import ssl
import statistics
import subprocess
import threading
import time

import pytest
import yaml
from kubernetes import client

from harness import BUILDHOOK, GROUP, ROOT, VERSION, Answer, buildconfig, scaled, wait_for

ENDS = ("Complete", "Failed", "Error", "Cancelled")
RANK = {"New": 0, "Pending": 1, "Running": 2, **dict.fromkeys(ENDS, 3)}
BUILDS = f"/apis/{GROUP}/{VERSION}"


class Controller:
    """`buildhook build-controller`, run as its own ServiceAccount."""

    def __init__(self, kubeconfig, directory, *flags):
        directory.mkdir(parents=True, exist_ok=True)
        self.log_path = directory / "log"
        self.command = [BUILDHOOK, "build-controller", "--kubeconfig", kubeconfig, "--builder-image", "builder:1",
                        "--output-registry", "registry.example.com/apps", "--admin-listen", "127.0.0.1:0", "--log-format", "json", *flags]

    def start(self):
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(self.command, stderr=log, stdin=subprocess.DEVNULL)
        return self

    def admin_get(self, path):
        (address,) = re.findall(r'"admin":"([^"]+)"', self.log_path.read_text())
        connection = http.client.HTTPConnection(address, timeout=10)
        connection.request("GET", path)
        return Answer(connection.getresponse())

    def wait_ready(self):
        def is_ready():
            text = self.log_path.read_text()
            assert self.process.poll() is None, text
            return '"listening"' in text and self.admin_get("/readyz").status == 200

        wait_for("the build controller to be ready", is_ready)
        return self

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def stop(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            assert self.process.wait(timeout=25) == 0
        text = self.log_path.read_text()
        assert not re.search("Sanitizer|runtime error:|\"level\":\"error\"", text), text[-8000:]


class Watch(threading.Thread):
    """Everything that happens to the objects of a collection, from now on."""

    def __init__(self, cluster, path, on_event):
        super().__init__(daemon=True)
        self.on_event = on_event
        self.error = None
        version = json.loads(cluster.kubectl("get", "--raw", path + "?limit=1"))["metadata"]["resourceVersion"]
        command = [cluster.program, "kubectl", "--kubeconfig", cluster.kubeconfig, "get", "--raw",
                   f"{path}?watch=true&resourceVersion={version}&timeoutSeconds=3000"]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        self.start()

    def run(self):
        try:
            for line in self.process.stdout:
                event = json.loads(line)
                self.on_event(event["type"], event["object"])
        except Exception as error:  # told by the test's own thread
            self.error = error
            raise

    def end(self):
        self.process.kill()
        self.process.wait()
        self.join()
        assert self.error is None


def report(**fields):
    return "buildhook " + json.dumps(fields) + "\nthe last line\n"


class Kubelet:
    """Plays the Pods of a namespace: each is fetched, built and ends as RESULT(name of the Build) says."""

    def __init__(self, cluster, namespace, result=lambda name: None, seconds=0.2):
        self.core, self.namespace, self.result, self.seconds = cluster.core, namespace, result, seconds
        self.made = collections.Counter()  # Pods of each name
        self.running, self.most = {}, collections.Counter()
        self.due = {}
        self.lock = threading.Lock()
        self.ended = threading.Event()
        self.watch = Watch(cluster, f"/api/v1/namespaces/{namespace}/pods", self.on_event)
        self.thread = threading.Thread(target=self.work, daemon=True)
        self.thread.start()

    def on_event(self, kind, pod):
        name = pod["metadata"]["name"]
        with self.lock:
            if kind == "ADDED":
                self.made[name] += 1
                self.due[name] = (time.monotonic() + self.seconds * random.random(), "begin")
            ended = kind == "DELETED" or pod["status"].get("phase") in ("Succeeded", "Failed")
            config = name.rsplit("-", 2)[0]
            if ended:
                self.running.pop(name, None)
                self.due.pop(name, None)
            else:
                self.running[name] = config
            for group in (config, None):
                now = len([c for c in self.running.values() if group in (None, c)])
                self.most[group] = max(self.most[group], now)

    def work(self):
        while not self.ended.wait(0.02):
            with self.lock:
                due = [(name, step) for name, (at, step) in self.due.items() if at <= time.monotonic()]
            for name, step in due:
                self.step(name, step)

    def step(self, name, step):
        failure = self.result(name.removesuffix("-build"))
        try:
            if step == "begin":
                self.write(name, "Pending", [("fetch", {"running": {}})], [])
                after = "end"
            elif failure:
                message = report(reason=failure, message="as told") if failure != "-" else ""
                self.write(name, "Failed", [("fetch", {"terminated": {"exitCode": 0}})], [("build", {"terminated": {"exitCode": 1, "message": message}})])
                after = None
            else:
                message = report(digest="sha256:" + "0" * 64)
                self.write(name, "Succeeded", [("fetch", {"terminated": {"exitCode": 0}})], [("build", {"terminated": {"exitCode": 0, "message": message}})])
                after = None
        except client.ApiException as error:
            assert error.status in (404, 409), error
            after = None
        with self.lock:
            if name in self.due and after:
                self.due[name] = (time.monotonic() + self.seconds * random.random(), after)
            else:
                self.due.pop(name, None)

    def write(self, name, phase, init, containers, **status):
        def statuses(list_):
            return [{"name": n, "image": "x", "imageID": "", "ready": False, "restartCount": 0, "state": s} for n, s in list_]

        status = {"phase": phase, "startTime": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
                  "initContainerStatuses": statuses(init), "containerStatuses": statuses(containers), **status}
        self.core.patch_namespaced_pod_status(name, self.namespace, {"status": status})

    def end(self):
        self.ended.set()
        self.thread.join()
        self.watch.end()


@pytest.fixture(scope="session")
def controller_kubeconfig(kubernetes_cluster, tmp_path_factory):
    cluster = kubernetes_cluster
    cluster.kubectl("apply", "--server-side", "-f", ROOT / "manifests" / "components" / "build-controller" / "role.yaml")
    # test_system_calls.py has made it where one process runs both.
    cluster.kubectl("create", "serviceaccount", "buildhook-build-controller", "-n", "buildhook", check=False)
    return cluster.service_account_kubeconfig(tmp_path_factory.mktemp("controller") / "kubeconfig", "buildhook-build-controller")


@pytest.fixture
def controllers(controller_kubeconfig, tmp_path):
    """Starts build controllers, with flags."""
    started = []

    def start(*flags):
        controller = Controller(controller_kubeconfig, tmp_path / f"controller-{len(started)}", *flags)
        started.append(controller)
        return controller.start().wait_ready()

    yield start
    for controller in started:
        controller.stop()


@pytest.fixture
def kubelet(cluster, namespace):
    kubelets = []

    def start(**options):
        kubelets.append(Kubelet(cluster, namespace, **options))
        return kubelets[-1]

    yield start
    for played in kubelets:
        played.end()


def create_build(cluster, namespace, config, number, policy="Serial", **spec):
    metadata = {"name": f"{config}-{number}", "annotations": {"openshift.io/build.number": str(number), "openshift.io/build-config.name": config},
                "labels": {"buildconfig": config, "openshift.io/build-config.name": config, "openshift.io/build.start-policy": policy}}
    body = {"apiVersion": f"{GROUP}/{VERSION}", "kind": "Build", "metadata": metadata,
            "spec": {"source": {"git": {"uri": "https://git.example.com/x.git"}}, "strategy": {"dockerStrategy": {}},
                     "output": {"to": {"kind": "ImageStreamTag", "name": f"{config}:latest"}}, **spec},
            "status": {"phase": "New", "config": {"name": config}}}
    return cluster.custom.create_namespaced_custom_object(GROUP, VERSION, namespace, "builds", body)


def get_build(cluster, namespace, name):
    return cluster.custom.get_namespaced_custom_object(GROUP, VERSION, namespace, "builds", name)


def wait_for_ends(cluster, namespace, n, timeout=120):
    def find():
        builds = cluster.builds(namespace)
        return builds if len([b for b in builds if b["status"].get("phase") in ENDS]) == n else None

    return {b["metadata"]["name"]: b["status"] for b in wait_for(f"{n} Builds to end", find, timeout, 0.3)}


POLICIES = ("Serial", "SerialLatestOnly", "Parallel")


def test_each_build_ends_once_whatever_is_killed(cluster, controllers, kubelet, namespace, figures):
    """200 Builds of 20 BuildConfigs in make test-long."""
    n_configs, n_builds = scaled(8, 20), scaled(40, 200)
    fates = {}  # of each Build's Pod: a reason, "-" for a failure without one, None
    phases = collections.defaultdict(list)

    def on_build(kind, build):
        phase = build["status"].get("phase") or "New"
        seen = phases[build["metadata"]["name"]]
        if kind != "DELETED" and (not seen or seen[-1] != phase):
            seen.append(phase)

    watch = Watch(cluster, f"{BUILDS}/namespaces/{namespace}/builds", on_build)
    played = kubelet(result=fates.get)
    replicas = [controllers(), controllers()]
    cancelled, kills = set(), 0
    dice = random.Random(7)
    for i in range(n_builds):
        config = i % n_configs
        name = f"c{config}-{i // n_configs + 1}"
        fates[name] = dice.choice([None, None, None, "DockerBuildFailed", "-"])
        create_build(cluster, namespace, f"c{config}", i // n_configs + 1, POLICIES[config % 3])
        if dice.random() < 0.1:
            cluster.custom.patch_namespaced_custom_object(GROUP, VERSION, namespace, "builds", name, {"status": {"cancelled": True}})
            cancelled.add(name)
        if i % 5 == 4:
            replica = dice.choice(replicas)
            replica.kill()
            replica.start()
            kills += 1
    began = time.monotonic()
    statuses = wait_for_ends(cluster, namespace, n_builds, 300)
    watch.end()
    wait_for("the Pods of cancelled Builds to be gone", lambda: not played.running, 30)
    for name, status in statuses.items():
        seen = phases[name]
        assert [RANK[p] for p in seen] == sorted({RANK[p] for p in seen}) and seen[-1] in ENDS, (name, seen)
        assert played.made[f"{name}-build"] <= 1, name
        config = int(re.match(r"c(\d+)-", name)[1])
        superseded = POLICIES[config % 3] == "SerialLatestOnly" and "superseded" in status.get("message", "")
        if status["phase"] == "Cancelled":
            assert status["reason"] == "CancelledBuild" and (name in cancelled or superseded), (name, status)
            assert not superseded or played.made[f"{name}-build"] == 0, name
        else:
            wanted = {None: ("Complete", None), "-": ("Failed", "GenericBuildFailed")}.get(fates[name], ("Failed", fates[name]))
            assert (status["phase"], status.get("reason")) == wanted, (name, status)
            assert played.made[f"{name}-build"] == 1, name
        assert status["completionTimestamp"] and status["conditions"][-1]["type"] == status["phase"]
    for config in range(n_configs):
        if POLICIES[config % 3] != "Parallel":
            assert played.most[f"c{config}"] == 1
    ends = collections.Counter(s["phase"] for s in statuses.values())
    figures(f"{n_builds} Builds, {kills} kills: {dict(ends)}; all ended {time.monotonic() - began:.0f} s after the last was made")


class Api:
    """Requests to the API server by Python and by curl, with the admin's certificate."""

    def __init__(self, cluster, folder):
        config = yaml.safe_load(cluster.kubeconfig.read_text())
        self.server = config["clusters"][0]["cluster"]["server"]
        self.files = {}
        for key, text in {**config["users"][0]["user"], "ca": config["clusters"][0]["cluster"]["certificate-authority-data"]}.items():
            self.files[key] = folder / key
            self.files[key].write_bytes(base64.b64decode(text))

    def connect(self):
        tls = ssl.create_default_context(cafile=self.files["ca"])
        tls.load_cert_chain(self.files["client-certificate-data"], self.files["client-key-data"])
        return http.client.HTTPSConnection(self.server.removeprefix("https://"), context=tls, timeout=60)

    def curl_post_ms(self, path, bodies):
        """How long curl needs for all of them, on one connection."""
        files = ["--cacert", self.files["ca"], "--cert", self.files["client-certificate-data"], "--key", self.files["client-key-data"]]
        command = []
        for body in bodies:
            command += ["--next", *files, "-sS", "-o", os.devnull, "-w", "%{http_code} %{time_total}\n", "-H", "Content-Type: application/json",
                        "-d", json.dumps(body), self.server + path]
        times = subprocess.run(["curl", *command[1:]], check=True, capture_output=True, text=True).stdout.split("\n")[:-1]
        assert all(t.startswith("201 ") for t in times), times
        return sum(float(t.split()[1]) for t in times) * 1000


def pod_body(name):
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "labels": {"openshift.io/build.name": "x"}},
            "spec": {"containers": [{"name": "x", "image": "x"}]}}


def test_a_pod_is_made_within_three_requests_of_the_api_server(cluster, controllers, namespace, tmp_path, figures):
    """The time from POST of a Build to its Pod, beside curl's for three requests that make Pods."""
    controllers()
    api = Api(cluster, tmp_path)
    made = {}
    watch = Watch(cluster, f"/api/v1/namespaces/{namespace}/pods", lambda kind, pod: made.setdefault(pod["metadata"]["name"], time.monotonic()))
    ours, curls = [], []
    connection = api.connect()
    for i in range(scaled(12, 100)):
        body = {"apiVersion": f"{GROUP}/{VERSION}", "kind": "Build", "metadata": {"name": f"fast{i}-1"}, "status": {"phase": "New"},
                "spec": {"source": {"git": {"uri": "https://git.example.com/x.git"}}, "strategy": {"dockerStrategy": {}}}}
        began = time.monotonic()
        connection.request("POST", f"{BUILDS}/namespaces/{namespace}/builds", json.dumps(body), {"Content-Type": "application/json"})
        assert Answer(connection.getresponse()).status == 201
        wait_for("the Pod", lambda i=i: f"fast{i}-1-build" in made, 20, 0.001)
        ours.append((made[f"fast{i}-1-build"] - began) * 1000)
        curls.append(api.curl_post_ms(f"/api/v1/namespaces/{namespace}/pods", [pod_body(f"curl{i}-{k}") for k in range(3)]))
    watch.end()
    ratio = statistics.median(ours) / statistics.median(curls)
    figures(f"from POST to Pod {statistics.median(ours):.1f} ms, three requests of curl {statistics.median(curls):.1f} ms: {ratio:.2f}")
    assert ratio <= 1, (ours, curls)


@pytest.mark.parametrize("replicas", [1, 2])
def test_no_more_builds_of_a_namespace_run_than_the_flag_says(cluster, controllers, kubelet, namespace, replicas):
    """Each other replica may start one Build more while the watch has not shown the last one yet (docs/plain-kubernetes.md)."""
    for _ in range(replicas):
        controllers("--max-builds=2")
    played = kubelet()
    for i in range(4):
        create_build(cluster, namespace, "one", i + 1, "Parallel")
        create_build(cluster, namespace, f"other{i}", 1)
    assert all(s["phase"] == "Complete" for s in wait_for_ends(cluster, namespace, 8).values())
    assert 2 <= played.most[None] <= 1 + replicas


def test_ended_builds_beyond_the_limits_go_oldest_first(cluster, controllers, kubelet, namespace):
    body = buildconfig("cart")
    body["spec"] |= {"successfulBuildsHistoryLimit": 2, "failedBuildsHistoryLimit": 1}
    cluster.create(namespace, body)
    kubelet(result=lambda name: "-" if int(name[5:]) % 2 else None)
    controllers()
    for number in range(1, 8):
        create_build(cluster, namespace, "cart", number)
    wait_for("the rest to be pruned", lambda: [b["metadata"]["name"] for b in cluster.builds(namespace)] == ["cart-4", "cart-6", "cart-7"], 60)
    wait_for("their Pods to go", lambda: sorted(p.metadata.name for p in cluster.core.list_namespaced_pod(namespace).items)
             == ["cart-4-build", "cart-6-build", "cart-7-build"], 60)


def test_a_config_change_starts_one_first_build(cluster, controllers, kubelet, namespace):
    replicas = [controllers(), controllers()]
    kubelet()
    for i in range(5):
        cluster.create(namespace, buildconfig(f"c{i}", triggers=[{"type": "ConfigChange"}]))
        replicas[i % 2].kill()
        replicas[i % 2].start()
    paused = buildconfig("paused", triggers=[{"type": "ConfigChange"}], annotations={"openshift.io/build-config.paused": "true"})
    cluster.create(namespace, paused)
    wait_for_ends(cluster, namespace, 5)
    for i in range(5):
        wait_for("lastVersion", lambda i=i: cluster.get(namespace, f"c{i}").get("status", {}).get("lastVersion") == 1)
    (build,) = [b for b in cluster.builds(namespace) if b["metadata"]["name"] == "c0-1"]
    assert build["spec"]["triggeredBy"] == [{"message": "Build configuration change"}]
    assert build["metadata"]["ownerReferences"][0]["name"] == "c0"
    assert build["status"]["outputDockerImageReference"] == f"registry.example.com/apps/{namespace}/c0:latest"
    cluster.patch(namespace, "paused", {"metadata": {"annotations": {"openshift.io/build-config.paused": None}}})
    wait_for_ends(cluster, namespace, 6)


def test_a_buildconfig_that_is_made_again_gets_its_first_build(cluster, controllers, kubelet, namespace):
    """The Build of a deleted BuildConfig still has the name."""
    kubelet()
    controllers()
    cluster.create(namespace, buildconfig("cart", triggers=[{"type": "ConfigChange"}]))
    wait_for_ends(cluster, namespace, 1)
    cluster.kubectl("delete", "buildconfig", "cart", "-n", namespace, "--cascade=orphan")
    cluster.create(namespace, buildconfig("cart", triggers=[{"type": "ConfigChange"}]))
    assert set(wait_for_ends(cluster, namespace, 2)) == {"cart-1", "cart-2"}


def test_an_image_change_is_named_in_the_hint(cluster, buildhook, namespace):
    cluster.create(namespace, buildconfig("cart", triggers=[{"type": "ImageChange", "imageChange": {}}]))
    hint = wait_for("the hint", lambda: cluster.annotation(namespace, "cart", "hint"))
    assert hint.startswith("trigger ImageChange starts no builds here")


DROPS = """\
apiVersion: admissionregistration.k8s.io/v1
kind: MutatingAdmissionPolicy
metadata: {{name: {name}}}
spec:
  matchConstraints:
    namespaceSelector: {{matchLabels: {{kubernetes.io/metadata.name: {name}}}}}
    resourceRules: [{{apiGroups: [""], apiVersions: [v1], operations: [CREATE], resources: [pods]}}]
  failurePolicy: Fail
  reinvocationPolicy: Never
  mutations:
  - patchType: JSONPatch
    jsonPatch: {{expression: '[JSONPatch{{op: "remove", path: "/spec/hostUsers"}}]'}}
---
apiVersion: admissionregistration.k8s.io/v1
kind: MutatingAdmissionPolicyBinding
metadata: {{name: {name}}}
spec: {{policyName: {name}}}
"""


@pytest.mark.parametrize("is_known", [False, True])
def test_no_pod_runs_without_its_user_namespace(cluster, controllers, kubelet, namespace, is_known):
    """hostUsers: false is dropped, as an old API server does; in the second case another namespace has shown that it is kept."""
    played = kubelet(seconds=5)
    controllers()
    if is_known:
        other = cluster.namespace()
        create_build(cluster, other, "first", 1)
        wait_for("a Pod", lambda: cluster.core.list_namespaced_pod(other).items)
    cluster.kubectl("apply", "-f", "-", stdin=DROPS.format(name=namespace))
    try:
        def is_dropped():
            body = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "x"}, "spec": {"hostUsers": False, "containers": [{"name": "x", "image": "x"}]}}
            return cluster.core.create_namespaced_pod(namespace, body, dry_run="All").spec.host_users is not False

        wait_for("the policy", is_dropped, 30)
        create_build(cluster, namespace, "cart", 1)
        status = wait_for("the reason", lambda: (lambda s: s if s.get("reason") else None)(get_build(cluster, namespace, "cart-1")["status"]))
        assert (status["phase"], status["reason"]) == ("New", "CannotCreateBuildPod")
        assert "v1." in status["message"] and "--host-users" in status["message"] and "hostUsers: false" in status["message"]
        assert not cluster.core.list_namespaced_pod(namespace).items
        assert played.made["cart-1-build"] == int(is_known)
    finally:
        cluster.kubectl("delete", "mutatingadmissionpolicy,mutatingadmissionpolicybinding", namespace)
    wait_for("the Pod, once the policy is gone", lambda: cluster.core.list_namespaced_pod(namespace).items, 60)


def test_the_metrics_are_openshifts_and_those_that_alerts_ask_for(cluster, controllers, kubelet, namespace):
    controller = controllers("--namespace", namespace)
    kubelet(result={"bad-1": "DockerBuildFailed"}.get)
    create_build(cluster, namespace, "good", 1)
    create_build(cluster, namespace, "bad", 1)
    wait_for_ends(cluster, namespace, 2)
    metadata = {"name": "waits-1", "annotations": {"openshift.io/build.number": "1"}}
    body = {"apiVersion": f"{GROUP}/{VERSION}", "kind": "Build", "metadata": metadata,
            "spec": {"source": {"dockerfile": "FROM x"}, "strategy": {"dockerStrategy": {}}, "nodeSelector": {"of": "none"}}, "status": {"phase": "New"}}
    played = Kubelet.step
    Kubelet.step = lambda *_: None
    try:
        cluster.custom.create_namespaced_custom_object(GROUP, VERSION, namespace, "builds", body)
        series = f'openshift_build_active_time_seconds{{namespace="{namespace}",name="waits-1",phase="Pending",reason="",strategy="Docker"}}'
        text = wait_for("its series", lambda: (lambda t: t if series in t else None)(controller.admin_get("/metrics").body.decode()))
        assert 'openshift_build_total{phase="Complete",reason="",strategy="Docker"} 1\n' in text
        assert 'openshift_build_total{phase="Failed",reason="DockerBuildFailed",strategy="Docker"} 1\n' in text
        since = float(re.search(re.escape(series) + r" (\S+)", text)[1])
        assert abs(since - time.time()) < 600 and text.count("openshift_build_active_time_seconds{") == 1
        rules = yaml.safe_load((ROOT / "manifests" / "components" / "monitoring" / "alerts.yaml").read_text())["spec"]["groups"][1]["rules"]
        asked = {m for rule in rules for m in re.findall(r"\b(?:buildhook|openshift)_[a-z_]+", rule["expr"])}
        assert asked == {"buildhook_build_oldest_seconds", "openshift_build_total"} and all(m + "{" in text for m in asked)
    finally:
        Kubelet.step = played
    cluster.custom.delete_namespaced_custom_object(GROUP, VERSION, namespace, "builds", "waits-1")
    wait_for("its series to go", lambda: "openshift_build_active_time_seconds{" not in controller.admin_get("/metrics").body.decode())


def test_where_openshift_runs_builds_it_ends_and_says_why(openshift_cluster, tmp_path):
    command = [BUILDHOOK, "build-controller", "--kubeconfig", openshift_cluster.kubeconfig, "--builder-image=x", "--admin-listen=127.0.0.1:0"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2
    assert "serves buildconfigs/instantiate, so it runs Builds by itself (OpenShift); remove the build controller" in done.stderr
