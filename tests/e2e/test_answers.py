"""Answers: the checks in their order, and what no answer may reveal."""

import hmac
import json
import re
import socket
import time
import urllib.parse
import uuid

import pytest

from harness import Buildhook, buildconfig, github_headers, github_payload, openshift_path, push, wait_for

MIB = 1 << 20
STATUS_KEYS = {"kind", "apiVersion", "metadata", "status", "message", "reason", "code"}
TEST_OF_DATA_CENTER = {"X-Event-Key": "diagnostics:ping", "Content-Type": "application/json; charset=UTF-8"}


@pytest.fixture(scope="module")
def receiver(cluster, tmp_path_factory):
    """One for all tests here: (buildhook, namespace, secret) of BuildConfig "cart"."""
    directory = tmp_path_factory.mktemp("answers")
    namespace = cluster.namespace()
    triggers = [{"type": kind, kind.lower(): {"secretReference": {"name": "cart-hook"}}} for kind in ("GitHub", "GitLab", "Bitbucket", "Generic")]
    cluster.create(namespace, buildconfig("cart", triggers=triggers))
    cluster.create(namespace, buildconfig("bare", triggers=[]))
    kubeconfig = cluster.service_account_kubeconfig(directory / "kubeconfig")
    buildhook = Buildhook(kubeconfig, directory, "--max-body", "2MiB", "--builds-per-minute", "0")
    wait_for("Ready", lambda: cluster.annotation(namespace, "cart", "generic-state") == "Ready")
    yield buildhook, namespace, cluster.secret_value(namespace, "cart-hook")
    buildhook.stop()
    buildhook.check_log()


def ask(buildhook, request, seconds=15):
    """The status, the head and the body of the first answer to these bytes."""
    host, port = buildhook.address.rsplit(":", 1)
    with socket.create_connection((host, int(port)), timeout=seconds) as connection:
        connection.sendall(request)
        got = b""
        while b"\r\n\r\n" not in got:
            piece = connection.recv(65536)
            assert piece, got
            got += piece
        head, _, body = got.partition(b"\r\n\r\n")
        length = int(re.search(rb"Content-Length: (\d+)", head)[1])
        while len(body) < length:
            body += connection.recv(65536)
    return int(head.split(b" ")[1]), head, body


def header(head, name):
    return re.search(rb"\r\n" + name + rb": ([^\r]*)", head)[1]


def request(path, *fields, method="POST", version="HTTP/1.1", body=b""):
    lines = "".join(f"{field}\r\n" for field in ("Host: x", *fields))
    return f"{method} {path} {version}\r\n{lines}\r\n".encode() + body


EXPECT, ENCODED, LONG = "Expect: other", "Content-Encoding: gzip", f"Content-Length: {3 * MIB}"


@pytest.mark.parametrize("status, reason, arguments", [
    (400, "BadRequest", {"fields": ("A : b", EXPECT, ENCODED, LONG), "method": "PUT"}),
    (505, "HTTPVersionNotSupported", {"version": "HTTP/1.2"}),
    (431, "RequestHeaderFieldsTooLarge", {"fields": ["A: b"] * 100}),
    (404, "NotFound", {"path": "/nothing", "fields": (EXPECT, ENCODED, LONG), "method": "PUT"}),
    (405, "MethodNotAllowed", {"fields": (EXPECT, ENCODED, LONG), "method": "PUT"}),
    (417, "ExpectationFailed", {"fields": (EXPECT, ENCODED, LONG)}),
    (415, "UnsupportedMediaType", {"fields": (ENCODED, LONG)}),
    (415, "UnsupportedMediaType", {"fields": ("Content-Encoding:", ENCODED, LONG)}),
    (413, "RequestEntityTooLarge", {"fields": (LONG,)}),
    (413, "RequestEntityTooLarge", {"fields": (LONG, "Expect: 100-continue")}),
    (400, "BadRequest", {"version": "HTTP/1.0"}),
])
def test_checks_come_in_their_order_and_each_answer_is_a_status(receiver, status, reason, arguments):
    buildhook, namespace, _ = receiver
    arguments = {"path": f"/hooks/{namespace}/cart/github", "fields": (), **arguments}
    code, head, body = ask(buildhook, request(arguments.pop("path"), *arguments.pop("fields"), **arguments))
    assert code == status
    answer = json.loads(body)
    assert set(answer) == STATUS_KEYS
    assert (answer["kind"], answer["status"], answer["reason"], answer["code"]) == ("Status", "Failure", reason, status)
    assert (b"\r\nAllow: POST" in head) == (status == 405)
    assert b"X-Buildhook-Delivery" not in head
    assert header(head, b"X-Buildhook-Message") == answer["message"].encode()


@pytest.mark.parametrize("fields", [
    ["Expect:"], ["Expect: ,"], ["Expect: 100-continue,"], ["Expect: 100-continue", "Expect: 100-continue"],
    ["Content-Encoding:"], ["Content-Encoding: identity"], ["Content-Encoding: , identity", "Content-Encoding:"],
    ["Connection:"], ["Connection: ,keep-alive"], ["TE:"], ["Trailer:"], ["Upgrade:"], ["Accept-Encoding: gzip"],
])
def test_lists_that_are_empty_or_say_the_default_ask_for_nothing(receiver, fields):
    buildhook, namespace, secret = receiver
    path = openshift_path(namespace, "cart", secret, "github")
    more = ("Content-Length: 2", "Content-Type: application/json", "X-GitHub-Event: ping")
    host, port = buildhook.address.rsplit(":", 1)
    with socket.create_connection((host, int(port)), timeout=15) as connection:
        connection.sendall(request(path, *more, *fields, body=b"{}"))
        got = connection.recv(65536)
        if got.startswith(b"HTTP/1.1 100 "):
            got = got.partition(b"\r\n\r\n")[2] or connection.recv(65536)
    assert got.startswith(b"HTTP/1.1 200 "), got


@pytest.mark.parametrize("field", ["Transfer-Encoding:", "Transfer-Encoding: identity"])
def test_a_transfer_encoding_that_says_nothing_is_400(receiver, field):
    buildhook, namespace, _ = receiver
    assert ask(buildhook, request(f"/hooks/{namespace}/cart/github", field))[0] == 400


def test_too_long_a_target_is_414(receiver):
    code, _, body = ask(receiver[0], request("/" + "a" * 9000))
    assert (code, json.loads(body)["reason"]) == (414, "RequestURITooLong")


def test_refusals_are_the_same_bytes_half_a_second_after_the_last_byte(receiver):
    buildhook, namespace, secret = receiver
    body = json.dumps(github_payload()).encode()
    hooks = [("none-such", "cart"), (namespace, "none"), (namespace, "bare"), (namespace, "cart")]
    paths = [f"/hooks/{at}/{name}/github" for at, name in hooks] + [openshift_path(at, name, "wrong", "github") for at, name in hooks]
    answers = set()
    for path in paths:
        signer = secret if "/webhooks/" in path else "wrong"
        fields = [f"{key}: {value}" for key, value in github_headers(signer, body).items()]
        host, port = buildhook.address.rsplit(":", 1)
        with socket.create_connection((host, int(port)), timeout=15) as connection:
            connection.sendall(request(path, f"Content-Length: {len(body)}", *fields, body=body[:-1]))
            time.sleep(0.2)
            began = time.monotonic()
            connection.sendall(body[-1:])
            got = connection.recv(65536)
            assert header(got, b"X-Buildhook-Message") == b"the webhook did not accept your secret"
            answers.add(re.sub(rb'for ..".*?"', b"", got).replace(b"bare", b"cart").replace(b"none", b"cart"))
            assert 0.45 < time.monotonic() - began < 5
    assert len(answers) == 1 and answers.pop().startswith(b"HTTP/1.1 401 ")


def test_an_unsigned_test_of_data_center_is_answered_alike_everywhere_and_not_recorded(cluster, receiver):
    buildhook, namespace, secret = receiver
    paths = [
        f"/hooks/{namespace}/cart/bitbucket", f"/hooks/{namespace}/none/bitbucket", "/hooks/none/none/bitbucket",
        openshift_path(namespace, "cart", secret, "bitbucket"), openshift_path(namespace, "cart", "wrong", "bitbucket"),
    ]
    answers = [buildhook.request(path, b'{"test": true}', TEST_OF_DATA_CENTER) for path in paths]
    assert {(a.status, a.body, a.headers["X-Buildhook-Delivery"]) for a in answers} == {(200, answers[0].body, None)}
    assert answers[0].json["reason"] == "Ping"
    assert not cluster.annotation(namespace, "cart", "bitbucket-last")


def test_every_answer_after_a_good_proof_names_the_delivery(receiver):
    buildhook, namespace, secret = receiver
    path = f"/hooks/{namespace}/cart/github"

    def send(body, delivery, **headers):
        return buildhook.request(path, body, {**github_headers(secret, body, delivery), **headers})

    push_of_main = json.dumps(github_payload()).encode()
    push_of_other = json.dumps(github_payload(ref="refs/heads/other")).encode()
    answers = [
        ("Ping", send(b"{}", "d-1", **{"X-GitHub-Event": "ping"})),
        ("EventIgnored", send(b"{}", "d-1", **{"X-GitHub-Event": "issues"})),
        ("RefMismatch", send(push_of_other, "d-1")),
        ("Unreadable", send(b"{", "d-1")),
        ("Unreadable", send(b"{}", "d-1", **{"Content-Type": "text/plain"})),
        ("DryRun", send(push_of_main, "d-1", **{"X-Buildhook-Dry-Run": "true"})),
        (None, send(push_of_main, "d-1")),
        ("Duplicate", send(push_of_main, "d-1")),
    ]
    for reason, answer in answers:
        assert answer.headers["X-Buildhook-Delivery"] == "d-1", reason
        assert answer.json.get("reason") == reason
        message = answer.headers["X-Buildhook-Message"]
        assert message.isascii() and 0 < len(message) <= 512
        if reason:
            assert answer.json["message"].startswith(urllib.parse.unquote(message)[:400])
    build = answers[-2][1]
    assert "managedFields" not in build.json["metadata"]
    name, commit = build.json["metadata"]["name"], json.loads(push_of_main)["after"]
    assert build.headers["X-Buildhook-Message"] == f"started {name} for a push of main {commit[:7]}"
    duplicate = answers[-1][1].json["message"]
    assert f"started build {name}" in duplicate and f"kubectl buildhook start cart -n {namespace}" in duplicate


def test_several_refs_are_answered_by_the_first_build_and_a_warning(cluster, receiver):
    buildhook, namespace, _ = receiver
    name = f"several-{uuid.uuid4().hex[:6]}"
    trigger = {"type": "Bitbucket", "bitbucket": {"secretReference": {"name": f"{name}-hook"}}}
    cluster.create(namespace, buildconfig(name, triggers=[trigger], annotations={"buildhook.io/refs": "**"}))
    wait_for("Ready", lambda: cluster.annotation(namespace, name, "bitbucket-state") == "Ready")
    refs = ["main", "other"]
    changes = [
        {"new": {"type": "branch", "name": ref, "target": {"type": "commit", "hash": f"{i}" * 40}}, "old": None, "closed": False}
        for i, ref in enumerate(refs, 1)
    ]
    secret = cluster.secret_value(namespace, f"{name}-hook")
    body = json.dumps({"push": {"changes": changes}}).encode()
    answer = buildhook.request(openshift_path(namespace, name, secret, "bitbucket"), body,
                               {"Content-Type": "application/json", "X-Event-Key": "repo:push", "X-Request-UUID": str(uuid.uuid4())})
    assert answer.status == 200 and answer.json["kind"] == "Build", answer.json
    assert re.fullmatch(rf'299 - "(also started: {name}-\d|builds that wait: refs/heads/other)"', answer.headers["Warning"])


def test_no_address_in_a_payload_is_asked(cluster, receiver):
    buildhook, namespace, secret = receiver
    with socket.create_server(("127.0.0.1", 0)) as inside:
        here = f"http://127.0.0.1:{inside.getsockname()[1]}"
        body = re.sub(r"(https?|git|ssh)://[^/\"]+", here, json.dumps(github_payload())).encode()
        assert body.count(here.encode()) > 20
        answer = buildhook.request(f"/hooks/{namespace}/cart/github", body, github_headers(secret, body))
        assert answer.json["kind"] == "Build", answer.body
        inside.settimeout(2)
        with pytest.raises(TimeoutError):
            inside.accept()


def test_a_dry_run_says_what_would_happen_and_does_nothing(cluster, receiver):
    buildhook, namespace, secret = receiver
    name = f"dry-{uuid.uuid4().hex[:6]}"
    cluster.create(namespace, buildconfig(name))
    wait_for("Ready", lambda: cluster.annotation(namespace, name, "github-state") == "Ready")
    secret = cluster.secret_value(namespace, f"{name}-hook")
    body = json.dumps(github_payload()).encode()

    def send(delivery, dry_run):
        headers = {**github_headers(secret, body, delivery), **({"X-Buildhook-Dry-Run": "true"} if dry_run else {})}
        return buildhook.request(f"/hooks/{namespace}/{name}/github", body, headers)

    answer = send("d-1", True)
    assert (answer.status, answer.json["reason"]) == (200, "DryRun")
    assert answer.json["message"] == f"dry run: this would build refs/heads/main {json.loads(body)['after'][:7]}"
    assert not cluster.annotation(namespace, name, "github-last")
    built = send("d-1", False).json
    assert (built["kind"], built["metadata"]["name"]) == ("Build", f"{name}-1")
    again = send("d-1", True).json
    assert again["reason"] == "Duplicate" and f"{name}-1" in again["message"]
    assert send("d-2", True).json["reason"] == "DryRun"
    assert push(buildhook, namespace, name, secret).json["metadata"]["name"] == f"{name}-2"


# "Webhook events and payloads" of GitHub's docs, "Webhook events" of GitLab's, "Event payloads" of Bitbucket's (Cloud and Data Center).
GITHUB_EVENTS = """branch_protection_configuration branch_protection_rule check_run check_suite code_scanning_alert commit_comment create custom_property
custom_property_values delete dependabot_alert deploy_key deployment deployment_protection_rule deployment_review deployment_status discussion
discussion_comment fork github_app_authorization gollum installation installation_repositories installation_target issue_comment issue_dependencies issues
label marketplace_purchase member membership merge_group meta milestone org_block organization package page_build personal_access_token_request ping
project project_card project_column projects_v2 projects_v2_item projects_v2_status_update public pull_request pull_request_review
pull_request_review_comment pull_request_review_thread registry_package release repository repository_advisory repository_dispatch repository_import
repository_ruleset repository_vulnerability_alert secret_scanning_alert secret_scanning_alert_location secret_scanning_scan security_advisory
security_and_analysis sponsorship star status sub_issues team team_add watch workflow_dispatch workflow_job workflow_run""".split()
GITLAB_EVENTS = ["Issue Hook", "Confidential Issue Hook", "Note Hook", "Confidential Note Hook", "Merge Request Hook", "Wiki Page Hook", "Pipeline Hook",
                 "Job Hook", "Deployment Hook", "Member Hook", "Subgroup Hook", "Project Hook", "Feature Flag Hook", "Release Hook", "Milestone Hook", "Emoji Hook",
                 "Resource Access Token Hook", "Vulnerability Hook", "Work Item Hook"]
BITBUCKET_EVENTS = """repo:fork repo:updated repo:transfer repo:created repo:deleted repo:commit_comment_created repo:commit_status_created repo:commit_status_updated
issue:created issue:updated issue:comment_created pullrequest:created pullrequest:updated pullrequest:approved pullrequest:unapproved pullrequest:fulfilled
pullrequest:rejected pullrequest:comment_created pullrequest:comment_updated pullrequest:comment_deleted repo:forked repo:modified repo:comment:added
repo:comment:edited repo:comment:deleted pr:opened pr:from_ref_updated pr:modified pr:reviewer:updated pr:reviewer:approved pr:merged pr:declined pr:deleted
pr:comment:added mirror:repo_synchronized diagnostics:ping""".split()


def test_no_event_of_a_git_host_is_answered_so_that_it_switches_the_webhook_off(cluster, receiver):
    buildhook, namespace, secret = receiver
    body = b'{"action":"created","repository":{"id":1,"name":"cart"},"sender":{"login":"alice"}}'
    mac = hmac.new(secret.encode(), body, "sha256").hexdigest()
    kinds = [
        ("github", GITHUB_EVENTS, lambda event: {"X-GitHub-Event": event, "X-GitHub-Delivery": str(uuid.uuid4()), "X-Hub-Signature-256": f"sha256={mac}"}),
        ("gitlab", GITLAB_EVENTS, lambda event: {"X-Gitlab-Event": event, "X-Gitlab-Token": secret}),
        ("bitbucket", BITBUCKET_EVENTS, lambda event: {"X-Event-Key": event, "X-Hub-Signature": f"sha256={mac}", "X-Request-UUID": str(uuid.uuid4())}),
    ]
    before = len(cluster.builds(namespace))
    for kind, events, headers in kinds:
        for event in events:
            answer = buildhook.request(f"/hooks/{namespace}/cart/{kind}", body, {"Content-Type": "application/json", **headers(event)})
            assert answer.status == 200 and answer.json["reason"] in ("EventIgnored", "Ping"), (kind, event, answer.status, answer.body)
    assert len(cluster.builds(namespace)) == before
