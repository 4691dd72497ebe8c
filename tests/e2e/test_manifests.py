"""The manifests: complete, accepted by the real API server, and without a right that is not needed."""

import re
import shutil
import subprocess
import textwrap

import pytest
import yaml

from harness import DEVCLUSTER, ROOT

SNIPPETS = re.findall(r"((?:^ {4}.*\n)+)", (ROOT / "docs" / "deploy.md").read_text(), re.M)
READ_WATCH = ["get", "list", "watch"]

# Every right of the ServiceAccount, cluster-wide. A change here is a change of what an administrator agrees to.
RIGHTS = {
    "buildhook": {
        ("build.openshift.io", "buildconfigs"): [*READ_WATCH, "patch"],
        ("build.openshift.io", "builds"): ["get", "list"],
        ("", "secrets"): ["get", "create", "patch"],
        ("events.k8s.io", "events"): ["create", "patch"],
    },
    "buildhook-kubernetes": {
        ("build.openshift.io", "builds"): ["create"],
        ("build.openshift.io", "buildconfigs/status"): ["patch"],
    },
    "buildhook-openshift": {
        ("build.openshift.io", "buildconfigs/instantiate"): ["create"],
        ("build.openshift.io", "builds/docker"): ["create"],
        ("build.openshift.io", "builds/optimizeddocker"): ["create"],
        ("build.openshift.io", "builds/source"): ["create"],
        ("build.openshift.io", "builds/jenkinspipeline"): ["create"],
    },
    "buildhook-build-controller": {
        ("build.openshift.io", "builds"): [*READ_WATCH, "create", "patch", "delete"],
        ("build.openshift.io", "buildconfigs"): READ_WATCH,
        ("build.openshift.io", "buildconfigs/status"): ["patch"],
        ("", "pods"): [*READ_WATCH, "create", "delete"],
        ("events.k8s.io", "events"): ["create"],
    },
}


def kustomize(path):
    done = subprocess.run([DEVCLUSTER, "kubectl", "kustomize", ROOT / "manifests" / path], check=True, capture_output=True)
    return done.stdout.decode()


def objects(path):
    return [o for o in yaml.safe_load_all(kustomize(path)) if o]


def rights_of(role):
    found = {}
    for rule in role["rules"]:
        assert set(rule) == {"apiGroups", "resources", "verbs"}, rule
        for group in rule["apiGroups"]:
            for resource in rule["resources"]:
                found.setdefault((group, resource), []).extend(rule["verbs"])
    return found


@pytest.mark.parametrize("path, roles", [
    (".", {"buildhook", "buildhook-kubernetes", "buildhook-openshift"}),
    ("overlays/openshift", {"buildhook", "buildhook-openshift"}),
    ("overlays/kubernetes", {"buildhook", "buildhook-kubernetes"}),
])
def test_the_rights_are_these_and_no_others(path, roles):
    found = objects(path)
    bound = {o["roleRef"]["name"] for o in found if o["kind"] == "ClusterRoleBinding"
             if any(s["name"] == "buildhook" for s in o["subjects"])}
    assert bound == roles
    by_name = {o["metadata"]["name"]: o for o in found if o["kind"] == "ClusterRole"}
    for name in roles:
        assert {k: sorted(v) for k, v in rights_of(by_name[name]).items()} == {k: sorted(v) for k, v in RIGHTS[name].items()}


def documented_rights(text):
    """The right column of docs/deploy.md's table: {resource: verbs}."""
    found = {}
    for part in text.split("; "):
        verbs, resources = re.fullmatch(r"((?:[a-z]+, )*[a-z]+) ([A-Z].*?)(?: on OpenShift)?", part).groups()
        for resource in resources.split(", "):
            found.setdefault(resource.lower(), set()).update(verbs.split(", "))
    return found


@pytest.mark.parametrize("path, other", [("overlays/openshift", "`kubernetes` only"), ("overlays/kubernetes", "`openshift` only")])
def test_the_documented_rights_are_those_of_the_manifests(path, other):
    text = (ROOT / "docs" / "deploy.md").read_text()
    table = text[text.index("| right | for |"):].split("\n\n", 1)[0].splitlines()[2:]
    documented = {}
    for right, reason in (re.fullmatch(r"\| (.*) \| (.*)\|", row).groups() for row in table):
        if other not in reason:
            for resource, verbs in documented_rights(right).items():
                documented.setdefault(resource, set()).update(verbs)
    if path == "overlays/kubernetes":
        del documented["routes"]
    found, given = objects(path), {}
    bound = {o["roleRef"]["name"] for o in found if o["kind"].endswith("Binding") and any(s["name"] == "buildhook" for s in o["subjects"])}
    for role in found:
        if role["kind"] in ("ClusterRole", "Role") and role["metadata"]["name"] in bound:
            for (_, resource), verbs in rights_of(role).items():
                given.setdefault(resource, set()).update(verbs)
    assert documented == given


def test_the_generated_install_file_is_what_the_overlay_says(kubernetes_cluster):
    kubernetes_cluster.kubectl("apply", "--server-side", "--force-conflicts", "-f", ROOT / "manifests" / "install.yaml")
    assert (ROOT / "manifests" / "install.yaml").read_text() == kustomize("overlays/kubernetes"), "run hack/install-yaml"


@pytest.mark.parametrize("path", [".", "overlays/kubernetes", "overlays/openshift"])
def test_everything_is_accepted_strictly(kubernetes_cluster, openshift_cluster, path):
    cluster = openshift_cluster if path.endswith("openshift") else kubernetes_cluster
    try:
        cluster.kubectl("apply", "--server-side", "--force-conflicts", "--validate=strict", "-k", ROOT / "manifests" / path)
        kinds = "statefulset,service,poddisruptionbudget,networkpolicy"
        cluster.kubectl("get", kinds + (",route" if cluster is openshift_cluster else ""), "buildhook", "-n", "buildhook")
    finally:
        cluster.run_kubectl("delete", "route", "buildhook", "-n", "buildhook", "--ignore-not-found")


@pytest.mark.parametrize("path", ["overlays/kubernetes", "overlays/openshift"])
def test_the_pods_pass_pod_security_restricted(cluster, path):
    (stateful_set,) = [o for o in objects(path) if o["kind"] == "StatefulSet"]
    namespace = cluster.namespace("restricted")
    cluster.kubectl("label", "namespace", namespace, "pod-security.kubernetes.io/enforce=restricted")
    template = stateful_set["spec"]["template"]
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "buildhook", "namespace": namespace}, "spec": template["spec"]}
    pod["spec"]["serviceAccountName"] = "default"
    pod["spec"].setdefault("volumes", []).append({"name": "journal", "emptyDir": {}})
    cluster.kubectl("create", "--dry-run=server", "-f", "-", stdin=yaml.safe_dump(pod))
    for container in pod["spec"]["containers"]:
        container["securityContext"]["privileged"] = True
        container["securityContext"]["allowPrivilegeEscalation"] = True
    refused = cluster.run_kubectl("create", "--dry-run=server", "-f", "-", stdin=yaml.safe_dump(pod))
    assert refused.returncode != 0 and "violates PodSecurity" in refused.stderr


def overlay(tmp_path, base, components, **rest):
    """A user's own overlay beside the others; returns the objects that it makes."""
    shutil.copytree(ROOT / "manifests", tmp_path / "manifests")
    folder = tmp_path / "manifests" / "overlays" / "mine"
    folder.mkdir()
    body = {"apiVersion": "kustomize.config.k8s.io/v1beta1", "kind": "Kustomization", "resources": [f"../{base}"],
            "components": [f"../../components/{c}" for c in components], **rest}
    (folder / "kustomization.yaml").write_text(yaml.safe_dump(body))
    built = subprocess.run([DEVCLUSTER, "kubectl", "kustomize", folder], check=True, capture_output=True).stdout
    return {(o["kind"], o["metadata"]["name"]): o for o in yaml.safe_load_all(built) if o}


def container_of(found):
    (container,) = found["StatefulSet", "buildhook"]["spec"]["template"]["spec"]["containers"]
    return container


def test_the_overlay_of_the_documentation_does_what_it_says(cluster, tmp_path):
    (text,) = [s for s in SNIPPETS if "../kubernetes" in s]
    (flag,) = [s for s in SNIPPETS if s.lstrip().startswith("- target:")]
    body = yaml.safe_load(textwrap.dedent(text))
    body["patches"] += yaml.safe_load(textwrap.dedent(flag))
    found = overlay(tmp_path, "kubernetes", ["ingress", "monitoring"], images=body["images"], patches=body["patches"])
    assert container_of(found)["image"] == "registry.example.com/tools/buildhook:1.0"
    # Its own patches do not undo those of the overlay below.
    assert container_of(found)["args"][-2:] == ["--backend=kubernetes", "--public-url=https://hooks.shop.example"]
    assert ("ClusterRole", "buildhook-openshift") not in found
    ingress = found["Ingress", "buildhook"]
    assert ingress["spec"]["rules"][0]["host"] == ingress["spec"]["tls"][0]["hosts"][0] == "hooks.shop.example"
    cluster.kubectl("create", "--dry-run=server", "--validate=strict", "-f", "-", stdin=yaml.safe_dump(ingress))


def test_each_component_is_documented():
    text = (ROOT / "docs" / "deploy.md").read_text()
    assert {p.name for p in (ROOT / "manifests" / "components").iterdir()} == set(re.findall(r"^\| `([a-z-]+)` \| ", text, re.M))


@pytest.mark.parametrize("component, served", [
    ("ingress", True), ("ephemeral", True), ("single-namespace", True), ("build-controller", True),
    ("gateway", False), ("cert-manager", False), ("monitoring", False),
])
def test_a_component_is_accepted_strictly(cluster, tmp_path, component, served):
    found = overlay(tmp_path, "kubernetes", [component])
    base = {(o["kind"], o["metadata"]["name"]): o for o in objects("overlays/kubernetes")}
    changed = [o for key, o in found.items() if base.get(key) != o]
    assert changed
    for body in changed:
        if served or body["kind"] in ("StatefulSet", "Service", "ConfigMap"):
            # A StatefulSet's volumes cannot be changed: a new one is what is asked for.
            body["metadata"]["name"] += "-new"
            cluster.kubectl("create", "--dry-run=server", "--validate=strict", "-f", "-", stdin=yaml.safe_dump(body))
        else:
            assert body["apiVersion"] in ("gateway.networking.k8s.io/v1", "cert-manager.io/v1", "monitoring.coreos.com/v1")


def test_one_namespace_needs_no_right_outside_it(cluster, tmp_path):
    found = overlay(tmp_path, "kubernetes", ["single-namespace"])
    assert not [key for key in found if key[0] == "ClusterRoleBinding"]
    for name in ("buildhook", "buildhook-kubernetes"):
        assert {k: sorted(v) for k, v in rights_of(found["Role", name]).items()} == {k: sorted(v) for k, v in RIGHTS[name].items()}
        assert found["RoleBinding", name]["roleRef"]["kind"] == "Role"
    assert "--namespace=$(POD_NAMESPACE)" in container_of(found)["args"]


def test_one_namespace_confines_what_other_components_add(tmp_path):
    found = overlay(tmp_path, "kubernetes", ["build-controller", "custom-builds", "single-namespace"])
    assert not [key for key in found if key[0] == "ClusterRoleBinding"]
    for (kind, name), body in found.items():
        if kind == "RoleBinding":
            assert (body["roleRef"]["kind"], body["roleRef"]["name"]) in found, name
    (container,) = found["Deployment", "buildhook-build-controller"]["spec"]["template"]["spec"]["containers"]
    assert container["args"][-1] == "--namespace=$(POD_NAMESPACE)" and container["env"][0]["name"] == "POD_NAMESPACE"


def test_the_build_controller_reads_no_secrets(cluster, tmp_path):
    found = overlay(tmp_path, "kubernetes", ["build-controller"])
    role = found["ClusterRole", "buildhook-build-controller"]
    assert {k: sorted(v) for k, v in rights_of(role).items()} == {k: sorted(v) for k, v in RIGHTS["buildhook-build-controller"].items()}
    (text,) = [s for s in re.findall(r"((?:^ {4}.*\n)+)", (ROOT / "docs" / "plain-kubernetes.md").read_text(), re.M) if "components:" in s]
    body = yaml.safe_load(textwrap.dedent(text))
    found = overlay(tmp_path / "patched", "kubernetes", ["build-controller"], patches=body["patches"])
    (container,) = found["Deployment", "buildhook-build-controller"]["spec"]["template"]["spec"]["containers"]
    assert container["args"] == ["build-controller", "--builder-image=registry.example.com/tools/buildhook-builder:1.0",
                                 "--output-registry=registry.example.com/apps"]
    namespace = cluster.namespace("restricted")
    cluster.kubectl("label", "namespace", namespace, "pod-security.kubernetes.io/enforce=restricted")
    spec = {**found["Deployment", "buildhook-build-controller"]["spec"]["template"]["spec"], "serviceAccountName": "default"}
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "x", "namespace": namespace}, "spec": spec}
    cluster.kubectl("create", "--dry-run=server", "-f", "-", stdin=yaml.safe_dump(pod))


def test_without_a_volume_the_journal_stays_below_the_limit(tmp_path):
    found = overlay(tmp_path, "openshift", ["ephemeral"])
    spec = found["StatefulSet", "buildhook"]["spec"]
    assert "volumeClaimTemplates" not in spec
    (volume,) = [v for v in spec["template"]["spec"]["volumes"] if v["name"] == "journal"]
    assert volume["emptyDir"]["sizeLimit"] == "512Mi" and "--journal-size=256MiB" in container_of(found)["args"]
    assert [v for v in spec["template"]["spec"]["volumes"] if v["name"] == "tls"]


def test_every_object_says_its_version(tmp_path):
    for body in objects("overlays/kubernetes"):
        labels = body["metadata"].get("labels", {})
        assert labels.get("app.kubernetes.io/part-of") == "buildhook", body["metadata"]["name"]
        if body["kind"] not in ("ClusterRole", "Namespace"):
            assert {"app.kubernetes.io/name", "app.kubernetes.io/instance", "app.kubernetes.io/component", "app.kubernetes.io/version"} <= set(labels)
