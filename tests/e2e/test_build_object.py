"""The Build that backend kubernetes makes, field by field, and the BuildConfigs that the CRDs take and refuse."""

import json
import re

import pytest
import yaml

from harness import ROOT, buildconfig, generic, push, wait_for

EXAMPLES = ROOT / "tests" / "data" / "buildconfigs"
VALID = sorted(EXAMPLES.glob("*.yaml"))
INVALID = sorted(EXAMPLES.glob("invalid/*.yaml"))
RFC3339 = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z"


@pytest.fixture(scope="module")
def validation_namespace(cluster):
    return cluster.namespace("valid")


def hooked(name):
    """An example BuildConfig whose only trigger is a GitHub one."""
    bc = yaml.safe_load((EXAMPLES / f"{name}.yaml").read_text())
    bc["metadata"].pop("namespace", None)
    bc["spec"]["triggers"] = [{"type": "GitHub", "github": {"secretReference": {"name": "hook"}}}]
    return bc


def make_hook(cluster, namespace, bc):
    created = cluster.create(namespace, bc)
    name = bc["metadata"]["name"]
    wait_for("Ready", lambda: cluster.annotation(namespace, name, "github-state") == "Ready")
    return created, cluster.secret_value(namespace, "hook")


def revision(commit):
    person = {"name": "Codertocat", "email": "21031067+Codertocat@users.noreply.github.com"}
    return {"type": "Git", "git": {"commit": commit, "author": person, "committer": person, "message": "Initial commit"}}


def pop_server_side(build):
    """Removes what the API server adds; every other member of a Build is compared."""
    metadata = build["metadata"]
    for member in ("uid", "resourceVersion", "creationTimestamp"):
        assert metadata.pop(member)
    assert metadata.pop("generation", 1) == 1


@pytest.mark.parametrize("example", ["docker-strategy", "source-strategy", "custom-strategy", "inputs"])
def test_the_build_has_what_openshifts_generator_gives_it(cluster, buildhook, namespace, example):
    bc, secret = make_hook(cluster, namespace, hooked(example))
    name, spec, commit = bc["metadata"]["name"], bc["spec"], "3f2a1b0" + "0" * 33
    ref = "refs/tags/v1" if example == "inputs" else "refs/heads/main"
    answer = push(buildhook, namespace, name, secret, delivery="d-1", ref=ref, commit=commit)
    assert answer.json["kind"] == "Build", buildhook.log()

    (build,) = cluster.builds(namespace)
    # An answer leaves out the server's bookkeeping.
    assert build["metadata"].pop("managedFields")
    assert build == answer.json
    pop_server_side(build)
    annotations = build["metadata"]["annotations"]
    assert re.fullmatch(RFC3339, annotations.pop("buildhook.io/accepted"))
    labels = build["metadata"]["labels"]
    assert re.fullmatch("[0-9a-f]{32}", labels.pop("buildhook.io/delivery"))
    (condition,) = build["status"]["conditions"]
    assert re.fullmatch(RFC3339, condition.pop("lastUpdateTime"))
    assert re.fullmatch(RFC3339, condition.pop("lastTransitionTime"))

    kind = {"docker-strategy": "Docker", "custom-strategy": "Custom"}.get(example, "Source")
    cause = {"revision": revision(commit), "secret": "<secret>"}
    own = ("triggers", "runPolicy", "successfulBuildsHistoryLimit", "failedBuildsHistoryLimit")
    assert build == {
        "apiVersion": "build.openshift.io/v1",
        "kind": "Build",
        "metadata": {
            "name": f"{name}-1",
            "namespace": namespace,
            "labels": {
                **bc["metadata"].get("labels", {}),
                "buildconfig": name,
                "openshift.io/build-config.name": name,
                "openshift.io/build.start-policy": spec["runPolicy"],
            },
            "annotations": {
                "openshift.io/build-config.name": name,
                "openshift.io/build.number": "1",
                "buildhook.io/delivery-id": "d-1",
                "buildhook.io/provider": "github",
                "buildhook.io/ref": ref,
            },
            "ownerReferences": [
                {
                    "apiVersion": "build.openshift.io/v1",
                    "kind": "BuildConfig",
                    "name": name,
                    "uid": bc["metadata"]["uid"],
                    "controller": True,
                }
            ],
        },
        "spec": {
            **{k: v for k, v in spec.items() if k not in own},
            "source": {"type": "Git", **spec["source"]},
            "strategy": {"type": kind, **spec["strategy"]},
            "serviceAccount": "builder",
            "revision": revision(commit),
            "triggeredBy": [{"message": "GitHub WebHook", "githubWebHook": cause}],
        },
        "status": {
            "phase": "New",
            "conditions": [{"type": "New", "status": "True"}],
            "config": {"kind": "BuildConfig", "name": name, "namespace": namespace},
        },
    }


def test_a_user_may_name_the_service_account(cluster, buildhook, namespace):
    bc = buildconfig("cart")
    bc["spec"]["triggers"][0]["github"]["secretReference"]["name"] = "hook"
    bc["spec"]["serviceAccount"] = "robot"
    _, secret = make_hook(cluster, namespace, bc)
    assert push(buildhook, namespace, "cart", secret).json["spec"]["serviceAccount"] == "robot"


def test_env_of_a_generic_delivery_takes_the_place_of_the_buildconfigs(cluster, buildhook, namespace):
    strategy = {
        "dockerStrategy": {
            "env": [{"name": "KEPT", "value": "1"}, {"name": "REPLACED", "value": "old"}],
            "buildArgs": [{"name": "V", "value": "1"}],
        }
    }
    trigger = {"type": "Generic", "generic": {"allowEnv": True, "secretReference": {"name": "hook"}}}
    cluster.create(namespace, buildconfig("cart", triggers=[trigger], strategy=strategy))
    wait_for("Ready", lambda: cluster.annotation(namespace, "cart", "generic-state") == "Ready")
    payload = {
        "git": {"ref": "main", "commit": "a" * 40},
        "env": [
            {"name": "REPLACED", "value": "new"},
            {"name": "LD_PRELOAD", "value": "/x.so"},
            {"name": "FROM", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}},
        ],
        "dockerStrategyOptions": {"buildArgs": [{"name": "V", "value": "2"}], "noCache": True},
    }
    answer = generic(buildhook, namespace, "cart", cluster.secret_value(namespace, "hook"), json.dumps(payload).encode())
    assert answer.status == 200, answer.body
    docker = answer.json["spec"]["strategy"]["dockerStrategy"]
    assert docker["env"] == [{"name": "KEPT", "value": "1"}, {"name": "REPLACED", "value": "new"}]
    assert docker["buildArgs"] == [{"name": "V", "value": "2"}]
    assert docker["noCache"] is True
    warning = answer.json["metadata"]["annotations"]["buildhook.io/warning"]
    assert "LD_PRELOAD" in warning and "FROM" in warning
    assert answer.headers["Warning"].startswith('299 - "') and "LD_PRELOAD" in answer.headers["Warning"]
    assert answer.json["spec"]["triggeredBy"][0]["message"] == "Generic WebHook"


def test_a_generic_delivery_without_a_body_builds_without_a_revision(cluster, buildhook, namespace):
    trigger = {"type": "Generic", "generic": {"secretReference": {"name": "hook"}}}
    cluster.create(namespace, buildconfig("cart", triggers=[trigger]))
    wait_for("Ready", lambda: cluster.annotation(namespace, "cart", "generic-state") == "Ready")
    build = generic(buildhook, namespace, "cart", cluster.secret_value(namespace, "hook"), b"").json
    assert build["kind"] == "Build"
    assert "revision" not in build["spec"]
    assert build["spec"]["triggeredBy"] == [{"message": "Generic WebHook", "genericWebHook": {"secret": "<secret>"}}]


def test_a_long_name_is_cut_as_openshift_cuts_it(cluster, buildhook, namespace):
    name = "a" * 62 + "." + "b" * 190
    bc = buildconfig(name)
    bc["spec"]["triggers"][0]["github"]["secretReference"]["name"] = "hook"
    _, secret = make_hook(cluster, namespace, bc)
    build = push(buildhook, namespace, name, secret).json
    assert len(build["metadata"]["name"]) == 253
    assert re.fullmatch(r"a{62}\.b+-[0-9a-f]{8}-1", build["metadata"]["name"])
    assert build["metadata"]["labels"]["buildconfig"] == "a" * 62
    assert build["metadata"]["annotations"]["openshift.io/build-config.name"] == name


def test_a_number_that_is_taken_by_another_build_is_passed_over(cluster, buildhook, hook):
    namespace, name, secret = hook
    for number in (1, 2):
        cluster.create_build(namespace, f"{name}-{number}", number)
    assert push(buildhook, namespace, name, secret).json["metadata"]["name"] == "cart-3"
    wait_for("status.lastVersion", lambda: cluster.get(namespace, name)["status"]["lastVersion"] == 3)


@pytest.mark.parametrize("path", VALID, ids=lambda p: p.stem)
def test_what_openshifts_documentation_shows_applies_without_a_change(cluster, validation_namespace, path):
    apply = ("apply", "--validate=strict", "-n", validation_namespace, "-f", path)
    documents = [d for d in yaml.safe_load_all(path.read_text()) if d]
    if any(d["metadata"].get("namespace") for d in documents):
        apply = tuple(a for a in apply if a not in ("-n", validation_namespace))
        for document in documents:
            cluster.ensure_namespace(document["metadata"].get("namespace", "default"))
    cluster.kubectl(*apply)
    cluster.kubectl(*apply)
    cluster.kubectl(*apply, "--server-side", "--force-conflicts")


@pytest.mark.parametrize("path", INVALID, ids=lambda p: p.stem)
def test_what_openshift_refuses_is_refused_in_words(cluster, validation_namespace, path):
    text = path.read_text()
    expected = re.match("# expect: (.*)\n", text).group(1)
    for flags in ((), ("--server-side",)):
        done = cluster.run_kubectl("apply", *flags, "-n", validation_namespace, "-f", path)
        assert done.returncode != 0, done.stdout
        assert expected in done.stderr
