"""The pairs of tests/data that name a BuildConfig, sent to the real program."""

import hashlib
import hmac
import json
import urllib.parse

import pytest

from harness import ROOT, Buildhook, buildconfig, openshift_path, wait_for

SECRET = "It's a Secret to Everybody"
TYPES = {"github": "GitHub", "gitlab": "GitLab", "bitbucket": "Bitbucket", "generic": "Generic"}
PAIRS = [path for path in sorted((ROOT / "tests" / "data").glob("*/*.http"))
         if '"buildConfig"' in path.with_suffix(".json").read_text()]


def name_of(path):
    return f"{path.parent.name}-{path.stem}".replace("_", "-")[:60].rstrip("-")


@pytest.fixture(scope="module")
def receiver(cluster, tmp_path_factory):
    """(buildhook, namespace), with a BuildConfig for each pair."""
    directory = tmp_path_factory.mktemp("hosts")
    namespace = cluster.namespace()
    for path in PAIRS:
        expected = json.loads(path.with_suffix(".json").read_text())
        wanted, kind = expected["buildConfig"], expected["type"]
        made = buildconfig(name_of(path), triggers=[{"type": TYPES[kind], kind: {"secret": expected.get("secret", SECRET)}}])
        made["spec"]["source"] = wanted["spec"]["source"]
        made["metadata"].setdefault("annotations", {}).update(wanted["metadata"].get("annotations", {}))
        cluster.create(namespace, made)
    buildhook = Buildhook(cluster.service_account_kubeconfig(directory / "kubeconfig"), directory)
    last = json.loads(PAIRS[-1].with_suffix(".json").read_text())["type"]
    wait_for("Ready", lambda: cluster.annotation(namespace, name_of(PAIRS[-1]), f"{last}-state") == "Ready", timeout=60)
    yield buildhook, namespace
    buildhook.stop()
    buildhook.check_log()


def fill_in(value, secret, signed):
    return (value.replace("{{hex}}", hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest())
            .replace("{{secret}}", secret).replace("{{bearer}}", f"Bearer {secret}"))


@pytest.mark.parametrize("path", PAIRS, ids=name_of)
def test_a_delivery_gets_its_outcome(receiver, path):
    buildhook, namespace = receiver
    expected = json.loads(path.with_suffix(".json").read_text())
    head, body = path.read_bytes().split(b"\n\n", 1)
    secret = expected.get("secret", SECRET)
    signed = expected.get("signed", "").encode() or body
    headers = {"X-Buildhook-Dry-Run": "true"}
    for line in head.decode().splitlines():
        key, value = line.split(":", 1)
        headers[key] = fill_in(value.strip(), secret, signed)
    url = f"/hooks/{namespace}/{name_of(path)}/{expected['type']}"
    if expected.get("pathProven"):
        url = openshift_path(namespace, name_of(path), urllib.parse.quote(secret), expected["type"])
    answer = buildhook.request(url, body, headers)
    status = json.loads(answer.body)
    assert answer.status == 200, status
    assert status["reason"] == ("DryRun" if expected["outcome"] == "builds" else expected["outcome"]), status
    if "says" in expected:
        assert expected["says"] in status["message"]
    for ref in expected.get("starts", []):
        assert ref in status["message"]
