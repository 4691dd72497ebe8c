"""Backend openshift: OpenShift's own URL, BuildRequests, and starts whose outcome is not known at once."""

import json
import threading
import time
import urllib.parse

import pytest
import yaml

from documented import ran
from harness import Buildhook, buildconfig, generic, github_headers, github_payload, openshift_path, push, wait_for
from proxy import Proxy
from test_main_job import *  # noqa: F403 - the main job, on this backend

INLINE = [{"type": "GitHub", "github": {"secret": "inline"}}]


@pytest.fixture(scope="session")
def cluster(openshift_cluster):
    return openshift_cluster


@pytest.fixture(autouse=True)
def no_faults_are_left(cluster):
    yield
    cluster.faults()


@pytest.fixture(scope="module", autouse=True)
def gaps(openshift_cluster, tmp_path_factory):
    """
    Numbers that were raised for a Build that never came. Whether one comes is known after a minute: the first
    test starts them, and the last looks. What comes out last waits for the rest of that minute.
    """
    cluster = openshift_cluster
    directory = tmp_path_factory.mktemp("gaps")
    namespaces = {name: cluster.namespace() for name in ("gap", "gap-cut", "deleted")}
    flags = [f"--namespace={namespace}" for namespace in namespaces.values()]
    kubeconfig = cluster.service_account_kubeconfig(directory / "kubeconfig")
    buildhook = Buildhook(kubeconfig, directory / "buildhook", *flags)
    for name, namespace in namespaces.items():
        status = {"lastVersion": 41} if name == "deleted" else {}
        cluster.create(namespace, {**buildconfig("cart", triggers=INLINE), "status": status})
        wait_for("Ready", lambda: cluster.annotation(namespace, "cart", "github-state") == "Ready")
    for fault in ("gap", "gap-cut"):
        cluster.faults((fault, 1))
        assert push(buildhook, namespaces[fault], "cart", "inline", delivery=fault).status == 202
        assert cluster.fault_hits() == [1]
    cluster.faults()
    settled = time.monotonic() + 68
    yield buildhook, namespaces, lambda: time.sleep(max(0, settled - time.monotonic()))
    assert buildhook.stop() == 0
    buildhook.check_log()


@pytest.fixture
def inline(cluster, buildhook, namespace):
    """A BuildConfig "cart" with the secret "inline" for GitHub."""
    return make(cluster, namespace, INLINE)


def make(cluster, namespace, triggers, name="cart", **more):
    cluster.create(namespace, buildconfig(name, triggers=triggers, **more))
    kind = triggers[0]["type"].lower()
    wait_for("Ready", lambda: cluster.annotation(namespace, name, f"{kind}-state") == "Ready")
    return namespace, name


def names(cluster, namespace):
    return [b["metadata"]["name"] for b in cluster.builds(namespace)]


def test_openshifts_own_url_takes_a_push_of_github_without_a_signature(cluster, buildhook, inline):
    namespace, name = inline
    body = json.dumps(github_payload(commit="a" * 40)).encode()
    headers = {k: v for k, v in github_headers("", body).items() if "Signature" not in k}
    answer = buildhook.request(openshift_path(namespace, name, "inline", "github"), body, headers)
    assert (answer.status, answer.json["kind"]) == (200, "Build")
    assert answer.json["spec"]["revision"]["git"]["commit"] == "a" * 40
    refused = buildhook.request(openshift_path(namespace, name, "other", "github"), body, headers)
    assert refused.status == 401
    assert refused.json["message"] == 'the webhook "github" for "cart" did not accept your secret'


def test_a_signature_beside_the_secret_in_the_url_must_be_right_too(cluster, buildhook, inline):
    namespace, name = inline
    path = openshift_path(namespace, name, "inline", "github")
    body = json.dumps(github_payload()).encode()
    assert buildhook.request(path, body, github_headers("wrong", body)).status == 401
    foreign = {**github_headers("inline", body), "Authorization": "Basic dXNlcjpwYXNz"}
    assert buildhook.request(path, body, foreign).status == 200
    assert names(cluster, namespace) == ["cart-1"]


def test_openshifts_own_url_takes_generic_deliveries(cluster, buildhook, namespace):
    trigger = {"type": "Generic", "generic": {"secret": "s/3 cret", "allowEnv": True}}
    make(cluster, namespace, [trigger])
    path = openshift_path(namespace, "cart", urllib.parse.quote("s/3 cret", safe=""), "generic")
    empty = buildhook.request(path)
    assert (empty.status, empty.json["kind"]) == (200, "Build")
    assert "revision" not in empty.json["spec"]
    payload = {"git": {"ref": "main", "commit": "b" * 40}, "env": [{"name": "A", "value": "1"}]}
    answer = buildhook.request(path, json.dumps(payload).encode(), {"Content-Type": "application/json"})
    assert answer.json["spec"]["revision"]["git"]["commit"] == "b" * 40
    assert {"name": "A", "value": "1"} in answer.json["spec"]["strategy"]["dockerStrategy"]["env"]
    other = buildhook.request(path, json.dumps({"git": {"ref": "other"}}).encode(), {"Content-Type": "application/json"})
    assert (other.status, other.json["reason"]) == (200, "RefMismatch")
    assert names(cluster, namespace) == ["cart-1", "cart-2"]


def test_a_trigger_with_an_inline_secret_takes_signatures_too(cluster, buildhook, inline):
    namespace, name = inline
    assert push(buildhook, namespace, name, "inline").status == 200
    assert push(buildhook, namespace, name, "inlinE").status == 401


def test_what_oc_asks_the_cluster_for_goes_with_buildhook(cluster, buildhook, namespace):
    """The requests that oc sends: there is no oc here."""
    path = f"/apis/build.openshift.io/v1/namespaces/{namespace}/buildconfigs"

    def builds():
        return [b["metadata"]["name"] for b in cluster.builds(namespace)]

    def may_anybody():
        attributes = {"verb": "create", "group": "build.openshift.io", "resource": "buildconfigs", "subresource": "webhooks", "namespace": namespace}
        review = {"apiVersion": "authorization.k8s.io/v1", "kind": "SubjectAccessReview",
                  "spec": {"user": "system:anonymous", "groups": ["system:unauthenticated"], "resourceAttributes": attributes}}
        return cluster.kubectl("create", "-f", "-", "-o", "jsonpath={.status.allowed}", stdin=json.dumps(review)) == "true"

    made = [{"type": "GitHub", "github": {"secret": "of-new-app"}}, {"type": "Generic", "generic": {"secret": "also"}}, {"type": "ConfigChange"},
            {"type": "ImageChange", "imageChange": {"from": {"kind": "ImageStreamTag", "name": "nodejs:latest"}}}]
    cluster.kubectl("create", "--raw", path, "-f", "-", stdin=json.dumps(buildconfig("cart", triggers=made)))
    ran.note("oc new-app")
    wait_for("Ready", lambda: cluster.annotation(namespace, "cart", "github-state") == "Ready")
    assert push(buildhook, namespace, "cart", "of-new-app").json["metadata"]["name"] == "cart-1"
    cluster.kubectl("patch", "bc/cart", "-n", namespace, "--type=merge", "-p",
                    json.dumps({"spec": {"triggers": [*made, {"type": "GitLab", "gitlab": {"secret": "of-set-triggers"}}]}}))
    ran.note("oc set triggers")
    wait_for("the second", lambda: cluster.annotation(namespace, "cart", "gitlab-state") == "Ready")
    asked = {"kind": "BuildRequest", "apiVersion": "build.openshift.io/v1", "metadata": {"name": "cart"}, "triggeredBy": [{"message": "Manually triggered"}]}
    cluster.kubectl("create", "--raw", f"{path}/cart/instantiate", "-f", "-", stdin=json.dumps(asked))
    ran.note("oc start-build")
    assert push(buildhook, namespace, "cart", "of-new-app").json["metadata"]["name"] == "cart-3" and builds() == ["cart-1", "cart-2", "cart-3"]

    # docs/moving.md: nobody without a login may call OpenShift's own endpoint any more; buildhook never asked for that.
    role = {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": {"name": "system:webhook"},
            "rules": [{"apiGroups": ["build.openshift.io"], "resources": ["buildconfigs/webhooks"], "verbs": ["get", "create"]}]}
    groups = [{"kind": "Group", "apiGroup": "rbac.authorization.k8s.io", "name": f"system:{name}"} for name in ("authenticated", "unauthenticated")]
    binding = {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding", "metadata": {"name": "system:webhooks"},
               "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "system:webhook"}, "subjects": groups}
    cluster.kubectl("apply", "-f", "-", stdin=yaml.safe_dump_all([role, binding]))
    try:
        wait_for("the right", may_anybody)
        cluster.kubectl("patch", "clusterrolebinding/system:webhooks", "--type=merge", "-p", json.dumps({"subjects": groups[:1]}))
        ran.note("oc adm policy remove-cluster-role-from-group system:webhook system:unauthenticated")
        wait_for("it to be gone", lambda: not may_anybody())
    finally:
        cluster.kubectl("delete", "clusterrole/system:webhook", "clusterrolebinding/system:webhooks")
    body = json.dumps(github_payload()).encode()
    assert buildhook.request(openshift_path(namespace, "cart", "of-new-app", "github"), body, github_headers("of-new-app", body)).json["kind"] == "Build"


def test_several_triggers_of_one_type_are_one_hook_with_several_secrets(cluster, buildhook, namespace):
    triggers = [
        {"type": "GitHub", "github": {"secret": "first"}},
        {"type": "GitHub", "github": {"secretReference": {"name": "second"}}},
        {"type": "GitHub", "github": {"secret": "third", "secretReference": {"name": "fourth"}}},
    ]
    body = {"metadata": {"name": "fourth"}, "stringData": {"WebHookSecretKey": "4th"}}
    cluster.core.create_namespaced_secret(namespace, body)
    make(cluster, namespace, triggers)
    second = cluster.secret_value(namespace, "second")
    for secret in ("first", second, "third", "4th"):
        assert push(buildhook, namespace, "cart", secret).status == 200, secret
    body = json.dumps(github_payload()).encode()
    mixed = buildhook.request(openshift_path(namespace, "cart", "first", "github"), body, github_headers("4th", body))
    assert mixed.status == 200
    assert push(buildhook, namespace, "cart", "fifth").status == 401


def test_discovery_picks_the_backend(buildhook, kubernetes_cluster, tmp_path):
    assert '"backend":"openshift"' in buildhook.log()
    kubeconfig = kubernetes_cluster.service_account_kubeconfig(tmp_path / "kubernetes")
    other = Buildhook(kubeconfig, tmp_path / "other")
    assert '"backend":"kubernetes"' in other.log()
    assert other.stop() == 0


def test_the_build_request_says_who_asked_and_for_what(cluster, buildhook, namespace):
    strategy = {"type": "Docker", "dockerStrategy": {"buildArgs": [{"name": "V", "value": "1"}]}}
    trigger = {"type": "Generic", "generic": {"secret": "s", "allowEnv": True}}
    make(cluster, namespace, [trigger], strategy=strategy)
    author = {"name": "Alice", "email": "alice@example.com"}
    payload = {
        "git": {"ref": "refs/heads/main", "commit": "c" * 40, "author": author, "message": "Mend it"},
        "env": [{"name": "A", "value": "1"}, {"name": "PATH", "value": "/x"}],
        "dockerStrategyOptions": {"buildArgs": [{"name": "V", "value": "2"}], "noCache": True},
    }
    answer = generic(buildhook, namespace, "cart", "s", json.dumps(payload).encode(), **{"Idempotency-Key": "d-1"})
    assert answer.status == 200, answer.body
    (build,) = cluster.builds(namespace)
    revision = {"type": "Git", "git": {"commit": "c" * 40, "author": author, "message": "Mend it"}}
    (trigger,) = build["spec"]["triggeredBy"]
    for seen in (build["spec"]["revision"], trigger["genericWebHook"]["revision"]):
        assert seen["git"].pop("committer", {}) == {}
        assert seen == revision
    assert trigger["message"] == "Generic WebHook" and trigger["genericWebHook"]["secret"] == "<secret>"
    docker = build["spec"]["strategy"]["dockerStrategy"]
    assert docker["env"] == [{"name": "A", "value": "1"}]
    assert docker["noCache"] is True
    assert {"name": "V", "value": "2"} in docker["buildArgs"] and {"name": "V", "value": "1"} not in docker["buildArgs"]
    assert len(build["metadata"]["labels"]["buildhook.io/delivery"]) == 32
    annotations = build["metadata"]["annotations"]
    assert annotations["buildhook.io/delivery-id"] == "d-1"
    assert annotations["buildhook.io/provider"] == "generic"
    assert annotations["buildhook.io/accepted"].endswith("Z")
    assert "PATH" in annotations["buildhook.io/warning"]
    assert annotations["openshift.io/build-config.name"] == "cart"


def test_options_that_the_strategy_does_not_take_are_final(cluster, buildhook, namespace):
    strategy = {"type": "Source", "sourceStrategy": {"from": {"kind": "ImageStreamTag", "name": "ruby:latest"}}}
    make(cluster, namespace, [{"type": "Generic", "generic": {"secret": "s", "allowEnv": True}}], strategy=strategy)
    payload = {"git": {"ref": "main"}, "dockerStrategyOptions": {"noCache": True}}
    answer = generic(buildhook, namespace, "cart", "s", json.dumps(payload).encode())
    assert answer.status == 200 and answer.json["status"] == "Failure", answer.body
    assert wait_for("the Event", lambda: cluster.events(namespace, "BuildTriggerFailed"))
    assert generic(buildhook, namespace, "cart", "s", b"").json["kind"] == "Build"


def test_a_delivery_that_ended_failed_builds_when_it_is_delivered_again_and_the_cause_is_mended(cluster, buildhook, namespace):
    strategy = {"type": "Source", "sourceStrategy": {"from": {"kind": "ImageStreamTag", "name": "ruby:latest"}}}
    make(cluster, namespace, [{"type": "Generic", "generic": {"secret": "s", "allowEnv": True}}], strategy=strategy)
    payload = {"git": {"ref": "main", "commit": "a" * 40}, "dockerStrategyOptions": {"noCache": True}}
    deliver = lambda: generic(buildhook, namespace, "cart", "s", json.dumps(payload).encode(), **{"Idempotency-Key": "d-1"})
    for _ in range(2):
        answer = deliver()
        assert (answer.status, answer.json["reason"]) == (200, "Failed"), answer.body
        # The answer does not wait for the row.
        wait_for("the row to end", lambda: buildhook.metric('buildhook_journal_rows{state="failed"}') == 1 and buildhook.is_settled())
    assert names(cluster, namespace) == []
    mended = {"type": "Docker", "dockerStrategy": {}, "sourceStrategy": None}
    cluster.patch(namespace, "cart", {"spec": {"strategy": mended}})
    answer = deliver()
    assert (answer.status, answer.json["kind"]) == (200, "Build"), answer.body
    build = answer.json["metadata"]
    assert build["annotations"]["buildhook.io/delivery-id"] == "d-1"
    answer = deliver()
    assert answer.json["reason"] == "Duplicate" and build["name"] in answer.json["message"]
    assert names(cluster, namespace) == [build["name"]]
    assert buildhook.metric('buildhook_journal_rows{state="failed"}') == 0


FAULTS = {
    "lost-request": ["cart-1"],
    "lost-answer": ["cart-1"],
    "already-exists": ["cart-2"],
    "no-service-account": ["cart-1"],
    "conflict": ["cart-1"],
    "throttled": ["cart-1"],
    "unavailable": ["cart-1"],
    "internal": ["cart-1"],
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_start_that_goes_wrong_still_makes_one_build(cluster, buildhook, inline, fault):
    if fault == "already-exists":
        cluster.create_build(inline[0], "cart-1", 1)
    check_one_build_in_spite_of(cluster, buildhook, inline, (fault, 1))


@pytest.mark.parametrize("fault", ["lost-answer", "unavailable"])
@pytest.mark.parametrize("path", ["/buildconfigs/cart$", "/builds$"])
def test_reads_around_a_start_may_go_wrong_too(cluster, buildhook, inline, fault, path):
    check_one_build_in_spite_of(cluster, buildhook, inline, {"fault": fault, "path": path, "method": "GET", "count": 1})


def check_one_build_in_spite_of(cluster, buildhook, inline, fault):
    namespace, name = inline
    cluster.faults(fault)
    answer = push(buildhook, namespace, name, "inline", delivery="d-1", commit="a" * 40)
    assert answer.status in (200, 202), answer.body
    own = lambda: [b for b in cluster.builds(namespace) if "buildhook.io/delivery" in b["metadata"].get("labels", {})]
    wait_for("the build", own)
    assert cluster.fault_hits() == [1]
    time.sleep(0.5)
    (build,) = own()
    assert build["spec"]["revision"]["git"]["commit"] == "a" * 40
    again = lambda: push(buildhook, namespace, name, "inline", delivery="d-1").json["message"]
    wait_for("the row", lambda: f"started build {build['metadata']['name']}" in again())
    assert push(buildhook, namespace, name, "inline").json["kind"] == "Build"
    assert len(own()) == 2


def test_an_image_that_is_not_there_yet_is_waited_for(cluster, kubeconfig, namespace, start, tmp_path):
    """OpenShift's 422, before it raises the number: the stream gets its image later. (generator.go, resolveError)"""
    proxy = Proxy(kubeconfig, tmp_path)
    try:
        buildhook = start()
        make(cluster, namespace, INLINE)
        details = {"kind": "ImageStreamTag", "name": "ruby:3", "causes": [{"reason": "FieldValueNotFound", "field": "spec.strategy"}]}
        message = f"Error resolving ImageStreamTag ruby:3 in namespace {namespace}: unable to find latest tagged image"
        for _ in range(2):
            proxy.refuse("POST .*/instantiate", 422, reason="Invalid", message=message, details=details)
        answer = push(buildhook, namespace, "cart", "inline", delivery="d-1", commit="a" * 40)
        assert (answer.status, answer.json["kind"]) in ((200, "Build"), (202, "Status")), answer.body
        assert answer.status == 200 or "ImageStreamTag ruby:3" in answer.json["message"], answer.body
        wait_for("the build", lambda: names(cluster, namespace) == ["cart-1"])
        assert proxy.refusals == [] and cluster.builds(namespace)[0]["spec"]["revision"]["git"]["commit"] == "a" * 40
        again = lambda: push(buildhook, namespace, "cart", "inline", delivery="d-1").json["message"]
        wait_for("the row", lambda: "started build cart-1" in again())
        (event,) = cluster.events(namespace, "BuildTriggerFailed")
        assert "ImageStreamTag ruby:3" in event.note, event.note
        assert buildhook.metric('buildhook_journal_rows{state="failed"}') == 0
    finally:
        proxy.close()


def test_a_build_that_comes_late_is_waited_for(cluster, start, namespace):
    buildhook = start("--start-timeout", "1s")
    make(cluster, namespace, INLINE)
    cluster.faults({"fault": "slow-create", "count": 1, "delayMs": 2500})
    assert push(buildhook, namespace, "cart", "inline", delivery="d-1").status == 202
    second = push(buildhook, namespace, "cart", "inline", delivery="d-2")
    assert (second.status, second.json["reason"]) == (202, "Queued")
    builds = wait_for("both builds", lambda: len(b := cluster.builds(namespace)) == 2 and b)
    assert [b["metadata"]["annotations"]["buildhook.io/delivery-id"] for b in builds] == ["d-1", "d-2"]


def test_a_build_that_comes_after_a_kill_is_found(cluster, start, namespace):
    buildhook = start("--start-timeout", "1s")
    make(cluster, namespace, INLINE)
    cluster.faults({"fault": "slow-create", "count": 1, "delayMs": 4000})
    assert push(buildhook, namespace, "cart", "inline").status == 202
    buildhook.kill()
    buildhook.start()
    wait_for("the build", lambda: names(cluster, namespace) == ["cart-1"])
    wait_for("the log to know it", lambda: '"build":"cart-1"' in buildhook.log())
    assert push(buildhook, namespace, "cart", "inline").json["metadata"]["name"] == "cart-2"


def start_by_hand(cluster, namespace, name, **more):
    request = {"kind": "BuildRequest", "apiVersion": "build.openshift.io/v1", "metadata": {"name": name}, **more}
    path = f"/apis/build.openshift.io/v1/namespaces/{namespace}/buildconfigs/{name}/instantiate"
    return json.loads(cluster.kubectl("create", "--raw", path, "-f", "-", stdin=json.dumps(request)))


def during_a_slow_start(cluster, buildhook, inline, act):
    """Pushes, and acts while the request to start the build is on its way."""
    namespace, name = inline
    answers = []
    cluster.faults({"fault": "slow", "count": 1, "delayMs": 1000})
    pusher = threading.Thread(target=lambda: answers.append(push(buildhook, namespace, name, "inline", delivery="d-1")))
    pusher.start()
    wait_for("the request", lambda: cluster.fault_hits() == [1])
    act(namespace, name)
    pusher.join()
    return answers[0]


def test_a_build_that_somebody_else_starts_meanwhile_is_seen(cluster, buildhook, inline):
    answer = during_a_slow_start(cluster, buildhook, inline, lambda *bc: start_by_hand(cluster, *bc))
    assert answer.status == 200 and answer.json["metadata"]["name"] == "cart-2", answer.body
    assert names(cluster, inline[0]) == ["cart-1", "cart-2"]


def test_a_buildconfig_that_is_paused_meanwhile_starts_nothing(cluster, buildhook, inline):
    pause = {"metadata": {"annotations": {"openshift.io/build-config.paused": "true"}}}
    answer = during_a_slow_start(cluster, buildhook, inline, lambda *bc: cluster.patch(*bc, pause))
    assert (answer.status, answer.json["reason"]) == (200, "Paused")
    answer = push(buildhook, *inline, "inline")
    assert (answer.status, answer.json["reason"]) == (200, "Paused")
    cluster.patch(*inline, {"metadata": {"annotations": {"openshift.io/build-config.paused": None}}})
    wait_for("a build", lambda: push(buildhook, *inline, "inline").json["kind"] == "Build")
    assert names(cluster, inline[0]) == ["cart-1"]


def build(cluster, buildhook, hook, n):
    """N builds, one after the other."""
    for i in range(n):
        assert push(buildhook, *hook, "inline").status in (200, 202)
        wait_for("the build", lambda i=i: len(names(cluster, hook[0])) == i + 1)


def test_builds_that_outlived_their_buildconfig_keep_their_numbers(cluster, buildhook, inline):
    namespace, name = inline
    build(cluster, buildhook, inline, 3)
    cluster.kubectl("delete", "buildconfig", name, "-n", namespace, "--cascade=orphan")
    make(cluster, namespace, INLINE)
    assert push(buildhook, namespace, name, "inline", delivery="d-1").status in (200, 202)
    wait_for("the build", lambda: names(cluster, namespace)[3:] == ["cart-4"])


def test_a_look_at_earlier_builds_that_fails_goes_on_where_it_was(cluster, buildhook, inline):
    namespace, name = inline
    build(cluster, buildhook, inline, 5)
    buildhook.kill()
    buildhook.start()
    one = lambda n: {"fault": "unavailable", "path": f"/builds/cart-{n}$", "method": "GET", "count": 1}
    any_other = {"fault": "slow", "path": "/builds/cart-[0-9]+$", "method": "GET", "delayMs": 1}
    cluster.faults(one(4), one(2), any_other)
    wait_for("a push to be taken", lambda: push(buildhook, namespace, name, "inline", delivery="d-1").status in (200, 202))
    wait_for("the build", lambda: names(cluster, namespace)[5:] == ["cart-6"], 30)
    hits = cluster.fault_hits()
    assert hits[:2] == [1, 1] and hits[2] < 12, "anew each time it would be 13 with the looks for the status"


def test_builds_that_were_deleted_are_no_reason_to_wait(cluster, buildhook, inline):
    namespace, name = inline
    build(cluster, buildhook, inline, 1)
    cluster.kubectl("delete", "builds", "--all", "-n", namespace)
    began = time.monotonic()
    assert push(buildhook, namespace, name, "inline").status in (200, 202)
    wait_for("the build", lambda: names(cluster, namespace) == ["cart-2"])
    assert time.monotonic() - began < 30, "a gap in the numbers is waited for twice as long"


def test_what_may_not_be_built_or_annotated_says_so_in_an_event(cluster, buildhook, namespace):
    strategy = {"type": "Custom", "customStrategy": {"from": {"kind": "DockerImage", "name": "registry.example.com/b:1"}}}
    cluster.create(namespace, buildconfig("cart", triggers=INLINE, strategy=strategy))
    (event,) = wait_for("the Event", lambda: cluster.events(namespace, "WebhookNotReady"))
    assert "builds/custom" in event.note and event.regarding.name == "cart"
    answer = push(buildhook, namespace, "cart", "inline")
    assert answer.status == 202 and "build strategy Custom is not allowed" in answer.json["message"], answer.body
    assert names(cluster, namespace) == []


def test_a_delivery_that_the_other_replica_built_is_answered_by_its_build(cluster, start, namespace):
    replicas = [start(name=name) for name in ("first", "second")]
    make(cluster, namespace, INLINE)
    for replica in replicas:
        answer = push(replica, namespace, "cart", "inline", delivery="d-1", commit="c" * 40)
        assert answer.status == 200 and answer.json["kind"] == "Build" and answer.json["metadata"]["name"] == "cart-1", answer.body
        assert answer.headers["X-Buildhook-Message"] == "started cart-1 for a push of main ccccccc"
        assert "managedFields" not in answer.json["metadata"]
    assert names(cluster, namespace) == ["cart-1"]


def ready_without(cluster, namespace, name, secret, value):
    """True if the state is Ready with a secret other than VALUE; fails if it is Ready with VALUE."""
    is_ready = cluster.annotation(namespace, name, "github-state") == "Ready"
    found = cluster.find_secret_value(namespace, secret)
    assert not is_ready or found != value, "Ready, and the secret is that of a deleted BuildConfig"
    return is_ready and found


def test_a_namesake_of_a_deleted_buildconfig_is_not_ready_with_the_old_secret(cluster, buildhook, namespace):
    triggers = [{"type": "GitHub", "github": {"secretReference": {"name": "cart-hook"}}}]
    make(cluster, namespace, triggers)
    old = cluster.secret_value(namespace, "cart-hook")
    assert push(buildhook, namespace, "cart", old).status == 200
    cluster.delete(namespace, "cart")
    cluster.create(namespace, buildconfig("cart", triggers=triggers))
    new = wait_for("Ready with a new secret", lambda: ready_without(cluster, namespace, "cart", "cart-hook", old))
    assert push(buildhook, namespace, "cart", old).status == 401
    assert push(buildhook, namespace, "cart", new).status == 200


def test_a_shared_secret_that_went_with_its_one_owner_is_made_again_and_told_of(cluster, start, namespace):
    buildhook = start("--secret-ttl=1s")
    triggers = [{"type": "GitHub", "github": {"secretReference": {"name": "shared"}}}]
    for name in ("cart", "catalog"):
        make(cluster, namespace, triggers, name)
    old = cluster.secret_value(namespace, "shared")
    assert push(buildhook, namespace, "catalog", old).status == 200
    # The admission plug-in that OpenShift has switched on lets buildhook add no second owner.
    assert [o.name for o in cluster.core.read_namespaced_secret("shared", namespace).metadata.owner_references] == ["cart"]
    cluster.delete(namespace, "cart")
    wait_for("the garbage collector", lambda: cluster.find_secret_value(namespace, "shared") != old)
    wait_for("the end of --secret-ttl", lambda: push(buildhook, namespace, "catalog", old).status == 401, interval=0.5)
    new = wait_for("Ready with a new secret", lambda: ready_without(cluster, namespace, "catalog", "shared", old))
    told = 'Secret "shared" was deleted and made again'
    wait_for("the hint", lambda: told in cluster.annotation(namespace, "catalog", "hint"))
    assert push(buildhook, namespace, "catalog", old).status == 401
    assert push(buildhook, namespace, "catalog", new).status == 200


def test_a_git_host_that_still_calls_openshifts_own_url_is_told(cluster, buildhook, inline):
    namespace, name = inline
    start_by_hand(cluster, namespace, name)
    time.sleep(6)
    assert "OpenShift's own" not in cluster.annotation(namespace, name, "hint")
    # What the webhook endpoint there sends.
    cause = {"message": "GitHub WebHook", "githubWebHook": {"secret": "<secret>"}}
    start_by_hand(cluster, namespace, name, triggeredBy=[cause])
    text = "still calls OpenShift's own github URL, which started cart-2"
    wait_for("the hint", lambda: text in cluster.annotation(namespace, name, "hint"))
    hint = cluster.annotation(namespace, name, "hint")
    assert "buildhook.io/github-url" in hint
    assert push(buildhook, namespace, name, "inline").json["metadata"]["name"] == "cart-3"
    wait_for("the delivery", lambda: cluster.annotation(namespace, name, "github-last").endswith("cart-3"))
    assert cluster.annotation(namespace, name, "hint") == hint


def test_a_refusal_by_a_quota_says_so_and_ends_when_there_is_room(cluster, buildhook, inline):
    namespace, name = inline
    cluster.faults(("quota", 4))
    answer = push(buildhook, namespace, name, "inline", delivery="d-1")
    assert answer.status == 202 and answer.json["message"].endswith(": exceeded quota: builds"), answer.body
    line = lambda: cluster.annotation(namespace, name, "github-last")
    wait_for("the cause", lambda: line().endswith("-> waiting, exceeded quota: builds"))
    assert cluster.annotation(*inline, "github-state") == "NotReady: exceeded quota: builds"
    (event,) = wait_for("the Event", lambda: cluster.events(namespace, "BuildTriggerFailed"))
    assert event.note.startswith("exceeded quota")
    # The refused requests have used up cart-1 to cart-4, and nobody else makes those.
    wait_for("the build", lambda: names(cluster, namespace) == ["cart-5"], 40)


def test_an_exported_last_version_is_waited_for_and_the_wait_is_shown(cluster, buildhook, namespace):
    cluster.create(namespace, {**buildconfig("cart", triggers=INLINE), "status": {"lastVersion": 41}})
    wait_for("Ready", lambda: cluster.annotation(namespace, "cart", "github-state") == "Ready")
    answer = push(buildhook, namespace, "cart", "inline")
    assert answer.status == 202 and "another build, cart-41, is being made" in answer.json["message"], answer.body
    line = lambda: cluster.annotation(namespace, "cart", "github-last")
    shown = "-> waiting, status.lastVersion is 41, and build cart-41 may still come, until 20"
    wait_for("the reason", lambda: shown in line(), 10)
    # The answer to a second push says it, too, and its line keeps the reason.
    assert "cart-41" in push(buildhook, namespace, "cart", "inline", commit="c" * 40).json["message"]
    wait_for("the reason of the second", lambda: shown in line() and "ccccccc" in line(), 10)


@pytest.mark.parametrize("fault", ["gap", "gap-cut"])
def test_a_number_without_a_build_is_taken_for_a_gap_in_the_end(cluster, gaps, fault):
    _, namespaces, _ = gaps
    (build,) = wait_for("the build", lambda: cluster.builds(namespaces[fault]), 100)
    assert build["metadata"]["name"] == "cart-2"
    assert build["metadata"]["annotations"]["buildhook.io/delivery-id"] == fault


def test_builds_that_were_deleted_long_ago_are_no_reason_to_wait(gaps):
    buildhook, namespaces, settle = gaps
    settle()
    assert push(buildhook, namespaces["deleted"], "cart", "inline").json["metadata"]["name"] == "cart-42"
