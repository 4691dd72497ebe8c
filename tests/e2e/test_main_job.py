"""From an edited BuildConfig to a Build: the main job."""

import json
import time
import uuid

from harness import Buildhook, buildconfig, github_headers, github_payload, push, wait_for


def test_a_missing_secret_is_made_and_the_object_says_so(cluster, hook):
    namespace, name, value = hook
    secret = cluster.core.read_namespaced_secret("cart-hook", namespace)
    assert len(value) == 64 and set(value) <= set("0123456789abcdef")
    assert secret.type == "Opaque"
    assert secret.metadata.labels["app.kubernetes.io/managed-by"] == "buildhook"
    (owner,) = secret.metadata.owner_references
    assert (owner.kind, owner.name) == ("BuildConfig", name)
    assert not owner.controller and owner.block_owner_deletion is False
    assert cluster.annotation(namespace, name, "github-secret") == "cart-hook"
    assert cluster.annotation(namespace, name, "github-url").endswith(f"/hooks/{namespace}/{name}/github")
    assert wait_for("the Event", lambda: cluster.events(namespace, "WebhookSecretCreated"))
    described = cluster.kubectl("describe", "buildconfig", name, "-n", namespace)
    assert value not in described


def test_a_push_starts_a_build_and_the_answer_is_the_build(cluster, buildhook, hook):
    namespace, name, secret = hook
    commit = "3f2a1b0" + "0" * 33
    answer = push(buildhook, namespace, name, secret, commit=commit)
    assert answer.status == 200, answer.body
    assert answer.headers["Content-Type"] == "application/json"
    assert answer.headers["X-Buildhook-Delivery"]
    assert answer.json["kind"] == "Build"
    assert answer.json["metadata"]["name"] == "cart-1"
    (build,) = cluster.builds(namespace)
    assert build["spec"]["revision"]["git"]["commit"] == commit
    wait_for("status.lastVersion", lambda: cluster.get(namespace, name)["status"]["lastVersion"] == 1)
    last = wait_for("the last delivery", lambda: cluster.annotation(namespace, name, "github-last"), 15)
    assert "push main 3f2a1b0" in last and last.endswith("-> cart-1"), last
    assert wait_for("the Event", lambda: cluster.events(namespace, "BuildTriggered"))


def test_two_buildconfigs_have_each_their_own_secret_and_builds(cluster, buildhook):
    hooks = []
    for name in ("cart", "catalog"):
        namespace = cluster.namespace()
        cluster.create(namespace, buildconfig(name))
        wait_for("Ready", lambda: cluster.annotation(namespace, name, "github-state") == "Ready")
        hooks.append((namespace, name, cluster.secret_value(namespace, f"{name}-hook")))
    (ns_a, a, secret_a), (ns_b, b, secret_b) = hooks
    assert secret_a != secret_b
    assert push(buildhook, ns_a, a, secret_a).status == 200
    assert push(buildhook, ns_b, b, secret_b).status == 200
    assert push(buildhook, ns_b, b, secret_a).status == 401
    assert [x["metadata"]["name"] for x in cluster.builds(ns_a)] == ["cart-1"]
    assert [x["metadata"]["name"] for x in cluster.builds(ns_b)] == ["catalog-1"]


def test_whatever_is_not_proved_gets_one_and_the_same_401(cluster, buildhook, hook):
    namespace, name, secret = hook
    body = json.dumps(github_payload()).encode()
    good = github_headers(secret, body)
    cases = {
        "wrong signature": (f"/hooks/{namespace}/{name}/github", github_headers("wrong", body)),
        "no signature": (f"/hooks/{namespace}/{name}/github", {k: v for k, v in good.items() if "Signature" not in k}),
        "no such hook": (f"/hooks/{namespace}/{name}/gitlab", good),
        "no such namespace": (f"/hooks/nowhere/{name}/github", good),
        "no such BuildConfig": (f"/hooks/{namespace}/nothing/github", good),
    }
    for case, (path, headers) in cases.items():
        began = time.monotonic()
        answer = buildhook.request(path, body, headers)
        took = time.monotonic() - began
        _, _, _, asked_name, kind = path.split("/")
        assert answer.status == 401, case
        assert took >= 0.5, f"{case}: {took}"
        assert answer.json["message"] == f'the webhook "{kind}" for "{asked_name}" did not accept your secret'
        headers_seen = {k.lower() for k in answer.headers}
        assert answer.headers["X-Buildhook-Message"] == "the webhook did not accept your secret"
        assert headers_seen == {"content-type", "content-length", "x-buildhook-message"} | (headers_seen & {"date", "connection"}), case
    assert cluster.builds(namespace) == []
    assert "did not accept" not in cluster.annotation(namespace, name, "github-last")


def test_a_ping_is_answered_and_starts_nothing(cluster, buildhook, hook):
    namespace, name, secret = hook
    body = b'{"zen":"Design for failure.","hook_id":1,"hook":{"type":"Repository"}}'
    answer = buildhook.request(f"/hooks/{namespace}/{name}/github", body, github_headers(secret, body, event="ping"))
    assert (answer.status, answer.json["reason"]) == (200, "Ping")
    assert cluster.builds(namespace) == []


def test_a_push_to_another_branch_is_ignored_and_both_sides_are_named(cluster, buildhook, hook):
    namespace, name, secret = hook
    answer = push(buildhook, namespace, name, secret, ref="refs/heads/feature")
    assert (answer.status, answer.json["reason"]) == (200, "RefMismatch")
    assert "refs/heads/feature" in answer.json["message"] and "main" in answer.json["message"]
    assert cluster.builds(namespace) == []
    wait_for("the annotation", lambda: "ignored: RefMismatch" in cluster.annotation(namespace, name, "github-last"), 15)
    assert "feature" in cluster.annotation(namespace, name, "hint")


def test_without_a_ref_the_default_branch_of_the_payload_builds(cluster, buildhook, namespace):
    cluster.create(namespace, buildconfig("cart", ref=None))
    wait_for("Ready", lambda: cluster.annotation(namespace, "cart", "github-state") == "Ready")
    secret = cluster.secret_value(namespace, "cart-hook")
    assert push(buildhook, namespace, "cart", secret, ref="refs/heads/feature").json["reason"] == "RefMismatch"
    assert push(buildhook, namespace, "cart", secret, ref="refs/heads/main").json["kind"] == "Build"


def test_the_same_delivery_again_starts_nothing(cluster, buildhook, hook):
    namespace, name, secret = hook
    delivery = str(uuid.uuid4())
    payload = {"commit": "a" * 40}
    assert push(buildhook, namespace, name, secret, delivery=delivery, **payload).status == 200
    again = push(buildhook, namespace, name, secret, delivery=delivery, **payload)
    assert (again.status, again.json["reason"]) == (200, "Duplicate")
    assert "cart-1" in again.json["message"] and "oc start-build cart" in again.json["message"]
    assert len(cluster.builds(namespace)) == 1


def test_an_edited_secret_reference_counts_within_a_second(cluster, buildhook, hook):
    namespace, name, _ = hook
    cluster.core.create_namespaced_secret(namespace, {"metadata": {"name": "mine"}, "stringData": {"WebHookSecretKey": "chosen\n"}})
    triggers = [{"type": "GitHub", "github": {"secretReference": {"name": "mine"}}}]
    cluster.patch(namespace, name, {"spec": {"triggers": triggers}})
    began = time.monotonic()
    answer = wait_for("the new secret to count", lambda: (a := push(buildhook, namespace, name, "chosen")).status == 200 and a, 5)
    assert time.monotonic() - began < 1.6, "one refused request takes 0.5 s of this"
    assert answer.json["kind"] == "Build"


def test_a_killed_process_starts_an_acknowledged_change_exactly_once(cluster, start, namespace):
    buildhook = start()
    cluster.create(namespace, buildconfig("cart"))
    wait_for("Ready", lambda: cluster.annotation(namespace, "cart", "github-state") == "Ready")
    secret = cluster.secret_value(namespace, "cart-hook")
    cluster.stop_apiserver()
    try:
        answer = wait_for("a delivery to be queued", lambda: (a := push(buildhook, namespace, "cart", secret)).status == 202 and a)
        assert answer.json["reason"] == "Queued"
        buildhook.kill()
    finally:
        cluster.start_apiserver()
    buildhook.start()
    wait_for("the build", lambda: cluster.builds(namespace))
    time.sleep(2)
    assert [b["metadata"]["name"] for b in cluster.builds(namespace)] == ["cart-1"]


def test_a_clean_end_finishes_what_is_under_way(cluster, start, namespace):
    buildhook = start()
    cluster.create(namespace, buildconfig("cart"))
    wait_for("Ready", lambda: cluster.annotation(namespace, "cart", "github-state") == "Ready")
    assert push(buildhook, namespace, "cart", cluster.secret_value(namespace, "cart-hook")).status == 200
    assert buildhook.stop() == 0


def test_the_secret_is_in_no_output(cluster, buildhook, hook):
    namespace, name, secret = hook
    push(buildhook, namespace, name, secret)
    push(buildhook, namespace, name, "wrong")
    buildhook.request(f"/apis/build.openshift.io/v1/namespaces/{namespace}/buildconfigs/{name}/webhooks/{secret}/github")
    outputs = [
        buildhook.log(),
        buildhook.admin_get("/metrics").body.decode(),
        cluster.kubectl("get", "buildconfig,build,events", "-n", namespace, "-o", "yaml"),
    ]
    outputs += [p.read_bytes().decode("latin-1") for p in buildhook.dir.glob("journal/*") if p.is_file()]
    assert len(outputs) > 3
    for output in outputs:
        assert secret not in output
