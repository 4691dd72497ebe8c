"""start, cancel, logs, history, uninstall and deliveries, as the owner of one namespace."""

import http.server
import itertools
import json
import subprocess
import threading
import time

import pytest

from cli import Caller, Owner, cluster, fits, owner, ready, web_server  # noqa: F401 - fixtures
from harness import GROUP, buildconfig, push, wait_for


@pytest.fixture
def buildhook(start):
    return start("--public-url=https://hooks.example.com", "--status-interval=100ms", name="journaled")


def phase(cluster, namespace, name, phase, **more):
    body = {"status": {"phase": phase, **more}}
    cluster.custom.patch_namespaced_custom_object(GROUP, "v1", namespace, "builds", name, body)


def test_start_makes_the_build_that_oc_would(cluster, buildhook, owner):
    namespace = owner.namespace
    cluster.create(namespace, buildconfig("cart"))
    ready(cluster, namespace, "cart")
    assert owner.ok("start", "cart") == "build.build.openshift.io/cart-1 started\n"
    assert owner.ok("start", "cart", "--commit", "3f2a1b0c9d8e7f6a5b4c3d2e1f0a9b8c7d6e5f4a").startswith("build.build.openshift.io/cart-2 ")
    first, second = cluster.builds(namespace)
    assert [c["message"] for c in first["spec"]["triggeredBy"]] == ["Manually triggered"] and "revision" not in first["spec"]
    assert second["spec"]["revision"]["git"]["commit"] == "3f2a1b0c9d8e7f6a5b4c3d2e1f0a9b8c7d6e5f4a"
    assert first["metadata"]["labels"]["openshift.io/build-config.name"] == "cart" and "buildhook.io/delivery" not in first["metadata"]["labels"]
    assert first["metadata"]["ownerReferences"][0]["name"] == "cart"
    # A delivery goes on after it.
    answer = push(buildhook, namespace, "cart", cluster.secret_value(namespace, "cart-hook"))
    assert answer.json["metadata"]["name"] == "cart-3"
    assert "expected 7 to 64" in owner.fails("start", "cart", "--commit=--upload-pack", status=2)
    cluster.patch(namespace, "cart", {"metadata": {"annotations": {"openshift.io/build-config.paused": "true"}}})
    assert "paused" in owner.fails("start", "cart")
    assert "not found" in owner.fails("start", "nothing")
    reader = Owner(cluster, namespace, owner.kubeconfig.parent, [{"apiGroups": [GROUP], "resources": ["*"], "verbs": ["get", "list"]}])
    cluster.patch(namespace, "cart", {"metadata": {"annotations": {"openshift.io/build-config.paused": None}}})
    assert "Error from server (Forbidden)" in reader.fails("start", "cart")


def test_cancel_marks_a_build_and_says_where_it_has_ended(cluster, buildhook, owner):
    namespace = owner.namespace
    cluster.create(namespace, buildconfig("cart"))
    owner.ok("start", "cart")
    assert "cart-1 marked for cancellation (New)" in owner.ok("cancel", "cart-1")
    assert cluster.builds(namespace)[0]["status"]["cancelled"] is True
    phase(cluster, namespace, "cart-1", "Cancelled")
    assert 'build "cart-1" has ended: Cancelled' in owner.fails("cancel", "cart-1")
    text = owner.fails("cancel", "cart-9")
    assert 'builds.build.openshift.io "cart-9" not found' in text and f"history NAME -n {namespace}" in text


def test_logs_say_why_there_are_none(cluster, buildhook, owner):
    namespace = owner.namespace
    cluster.create(namespace, buildconfig("cart"))
    assert 'builds.build.openshift.io "cart-7" not found' in owner.fails("logs", "cart-7")
    assert 'buildconfig "cart" has no builds' in owner.fails("logs", "cart")
    owner.ok("start", "cart")
    assert 'build "cart-1" is New: it has no Pod yet' in owner.fails("logs", "cart")
    phase(cluster, namespace, "cart-1", "Failed", message="Docker build failed", logSnippet="step 3\nno such file")
    done = owner.run("logs", "cart-1")
    assert done.returncode == 0 and done.stdout_text == "step 3\nno such file\n" and "Pod is gone" in done.stderr_text
    followed = owner.fails("start", "cart", "--follow", timeout=60) if phase_later(cluster, namespace, "cart-2", "Error") else ""
    assert 'build "cart-2" is Error' in followed


def test_logs_say_what_they_wait_for(cluster, buildhook, owner):
    cluster.create(owner.namespace, buildconfig("cart"))
    owner.ok("start", "cart")
    end = threading.Timer(8, phase, (cluster, owner.namespace, "cart-1", "Failed"), {"message": "no luck", "logSnippet": "step 3"})
    end.start()
    done = owner.run("logs", "cart", "--follow", timeout=60)
    end.join()
    assert done.returncode == 0 and done.stdout_text == "step 3\n"
    assert done.stderr_text.splitlines()[0] == ('Waiting: build "cart-1" is New, and has no Pod yet. '
                                                "Where it stays New, nothing on this cluster runs builds.")


def test_logs_follow_a_build_from_container_to_container(cluster, buildhook, owner, tmp_path):
    namespace, pod, more = owner.namespace, "cart-1-build", threading.Event()

    def build_log():
        yield b"step 1\n"
        more.wait(30)
        yield b"step 2\n"

    logs = {"fetch": lambda: [b"cloning\n"], "build": build_log}

    class Kubelet(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self):
            self.send_response(200)
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            for text in itertools.chain(logs[self.path.partition("?")[0].rpartition("/")[2]](), [b""]):
                self.wfile.write(b"%x\r\n%s\r\n" % (len(text), text))

        def log_message(self, *args):
            pass

    def running(**statuses):
        containers = [{"name": name, "image": "x", "imageID": "", "ready": False, "restartCount": 0, "state": state} for name, state in statuses.items()]
        status = {"phase": "Running", "hostIP": "127.0.0.1", "initContainerStatuses": containers[:1], "containerStatuses": containers[1:]}
        cluster.core.patch_namespaced_pod_status(pod, namespace, {"status": status})

    cluster.create(namespace, buildconfig("cart"))
    owner.ok("start", "cart")
    with web_server(tmp_path, tls=True, handler=Kubelet) as url:
        name, now = f"node-{namespace}", {"startedAt": "2026-01-01T00:00:00Z"}
        cluster.core.create_node({"metadata": {"name": name}})
        cluster.core.patch_node_status(name, {"status": {"addresses": [{"type": "InternalIP", "address": "127.0.0.1"}],
                                                         "daemonEndpoints": {"kubeletEndpoint": {"Port": int(url.rpartition(":")[2])}}}})
        try:
            process = owner.start("logs", "cart", "--follow", stdin=subprocess.DEVNULL)
            containers = [{"name": n, "image": "x"} for n in ("fetch", "build")]
            cluster.core.create_namespaced_pod(namespace, {"metadata": {"name": pod}, "spec": {
                "nodeName": name, "initContainers": containers[:1], "containers": containers[1:]}})
            running(fetch={"terminated": {**now, "exitCode": 0}}, build={"waiting": {}})
            first = process.stdout.readline()
            assert first == "cloning\n", first or process.stderr.read()
            running(fetch={"terminated": {**now, "exitCode": 0}}, build={"running": now})
            # As it comes, not at the end.
            assert process.stdout.readline() == "step 1\n"
            more.set()
            assert process.stdout.readline() == "step 2\n"
            phase(cluster, namespace, "cart-1", "Complete")
            assert process.wait(timeout=30) == 0 and process.stderr.read() == ""
            assert owner.ok("logs", "cart-1") == "cloning\nstep 1\nstep 2\n"
        finally:
            cluster.core.delete_node(name)


def phase_later(cluster, namespace, name, value):
    def later():
        wait_for(name, lambda: any(b["metadata"]["name"] == name for b in cluster.builds(namespace)), 40)
        phase(cluster, namespace, name, value, message="no luck")

    threading.Thread(target=later, daemon=True).start()
    return True


def test_history_tells_what_was_built_and_what_was_not(cluster, buildhook, owner):
    namespace = owner.namespace
    cluster.create(namespace, buildconfig("cart"))
    ready(cluster, namespace, "cart")
    secret = cluster.secret_value(namespace, "cart-hook")
    assert push(buildhook, namespace, "cart", secret, commit="3f2a1b0c9d8e7f6a5b4c3d2e1f0a9b8c7d6e5f4a").status == 200
    phase(cluster, namespace, "cart-1", "Complete", startTimestamp="2026-01-01T00:00:00Z", completionTimestamp="2026-01-01T00:02:30Z")
    time.sleep(1.1)
    assert push(buildhook, namespace, "cart", secret, ref="refs/heads/wip").json["reason"] == "RefMismatch"
    assert push(buildhook, namespace, "cart", "wrong").status == 401
    wait_for("the status", lambda: "RefMismatch" in cluster.annotation(namespace, "cart", "github-last")
             and cluster.annotation(namespace, "cart", "github-refused"), 80)
    text = fits(owner.ok("history", "cart"))
    assert "github push main 3f2a1b0" in text and "-> cart-1 Complete (2m30s)" in " ".join(text.split())
    assert "push wip" in text and "RefMismatch" in text and "refused" in text and "signature" in text and "Builds are known from" in text
    assert "WebhookSecretCreated" in text and text.index("push wip") < text.index("push main")
    assert secret not in text
    items = json.loads(owner.ok("history", "cart", "-o", "json"))["items"]
    built = [i for i in items if i["kind"] == "build"]
    assert built[0]["build"] == "cart-1" and built[0]["ref"] == "refs/heads/main" and built[0]["phase"] == "Complete"
    assert sum("RefMismatch" in i["text"] for i in items) == 1, items
    assert len(owner.ok("history", "cart", "--limit=1", "-o", "wide").splitlines()) == 4
    # The id that `redeliver` takes as its argument.
    assert f"-> cart-1 Complete (2m30s), delivery {built[0]['delivery']}\n" in owner.ok("history", "cart", "-o", "wide")
    assert "not found" in owner.fails("history", "nothing")
    # A caller who may read only BuildConfigs is told what is missing.
    reader = Owner(cluster, namespace, owner.kubeconfig.parent, [{"apiGroups": [GROUP], "resources": ["buildconfigs"], "verbs": ["get"]}])
    assert "You may not list builds" in reader.ok("history", "cart")


def test_history_tells_builds_of_one_second_in_their_order(cluster, buildhook, owner):
    cluster.create(owner.namespace, buildconfig("cart"))
    for _ in range(4):
        owner.ok("start", "cart")
    items = json.loads(owner.ok("history", "cart", "-o", "json"))["items"]
    assert [i["build"] for i in items if i["kind"] == "build"] == ["cart-4", "cart-3", "cart-2", "cart-1"]


def test_deliveries_reads_the_journal_beside_a_serve(cluster, buildhook, owner):
    namespace = owner.namespace
    journal = str(buildhook.dir / "journal")
    assert "No deliveries" in owner.run("deliveries", "--data-dir", journal).stderr_text
    cluster.create(namespace, buildconfig("cart"))
    ready(cluster, namespace, "cart")
    secret = cluster.secret_value(namespace, "cart-hook")
    assert push(buildhook, namespace, "cart", secret, delivery="d-1").status == 200
    wait_for("it to be settled", buildhook.is_settled)
    row = owner.ok("deliveries", "--data-dir", journal).splitlines()[1].split()
    assert row[1:4] == [f"{namespace}/cart", "started", "main"] and row[-1] == "cart-1"
    item = json.loads(owner.ok("deliveries", f"--data-dir={journal}", "-ojson"))["items"][0]
    assert item["delivery"] == "d-1" and item["build"] == "cart-1" and item["provider"] == "github"
    text = owner.fails("deliveries", "--data-dir", "/nowhere")
    assert "/nowhere" in text and "--data-dir names another folder" in text


def test_uninstall_takes_away_what_buildhook_wrote_and_nothing_else(cluster, buildhook, namespace, owner):
    admin = Caller(cluster.kubeconfig)
    annotations = {"buildhook.io/refs": "main,release/*", "mine": "1"}
    cluster.create(namespace, buildconfig("cart", annotations=annotations))
    ready(cluster, namespace, "cart")
    dry = admin.ok("uninstall", "--dry-run", "-n", namespace)
    assert f"{namespace}/cart: " in dry and "would be taken away" in dry and f"{namespace}/cart-hook" in dry
    assert cluster.annotation(namespace, "cart", "github-state") == "Ready"
    # While a serve runs nothing is removed.
    before = cluster.get(namespace, "cart")["metadata"]["annotations"]
    refused = admin.run("uninstall", "-n", namespace)
    assert refused.returncode == 1 and "serve still runs" in refused.stderr_text and "taken away" not in refused.stdout_text
    assert cluster.get(namespace, "cart")["metadata"]["annotations"] == before
    assert buildhook.stop() == 0
    assert f"{namespace}/cart: " in admin.ok("uninstall", "-n", namespace)
    assert cluster.get(namespace, "cart")["metadata"]["annotations"] == annotations
    assert cluster.find_secret_value(namespace, "cart-hook")
    assert "No BuildConfig has annotations" in admin.ok("uninstall", "-n", namespace)
    assert "Error from server (Forbidden)" in owner.fails("uninstall")
