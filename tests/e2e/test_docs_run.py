"""Each command that README and docs tell people to type is run: here, or by the test that RUN_BY names."""

import os
import re
import shutil
import subprocess

import pytest
import yaml

from cli import cluster, ready  # noqa: F401 - fixtures
from documented import RUN_BY, RUN_BY_SCRIPT, Ran, commands, ran
from harness import BUILDHOOK, CONTAINER_STORE, GROUP, ROOT, buildconfig, push, wait_for

# Run here as they stand, in the namespace of a BuildConfig "cart" that has been pushed to.
RUN_HERE = [
    r"(kubectl|oc) buildhook (add-trigger|history|status|test|url)\b.*",
    r"build/buildhook send .*",
    r"buildhook \S+ --help",
    r"(kubectl|oc) (get|describe) (bc|builds|events|secret cart)\b.*",
    r"(kubectl|oc) (annotate|patch) (bc|build)\b.*",
    r"(kubectl|oc) create secret generic cart-.*",
    r"oc (extract secret/cart-.*|project)",
    r"kubectl label namespace shop .*",
]


def is_one_of(patterns, line):
    return any(re.fullmatch(pattern, line, re.S) for pattern in patterns)


def test_each_command_of_a_page_is_run_by_a_test():
    for line, page in commands().items():
        here = [RUN_HERE] if is_one_of(RUN_HERE, line) else []
        by = [pattern for pattern in RUN_BY if is_one_of([pattern], line)]
        assert len(here) + len(by) + (line in RUN_BY_SCRIPT) == 1, f"{page}: {line}: run it here (RUN_HERE), or name the test that does (RUN_BY in documented.py)"
    for runner in RUN_BY.values():
        path, _, name = runner.partition("::")
        assert f"\ndef {name.partition('[')[0]}(" in (ROOT / "tests" / "e2e" / path).read_text(), runner
    for line, (path, words) in RUN_BY_SCRIPT.items():
        assert words in (ROOT / path).read_text(), (line, path)


def test_a_command_that_a_test_does_not_run_is_noticed():
    noted = Ran()
    noted.on_event("subprocess.Popen", (None, ["/x/devcluster", "kubectl", "--kubeconfig", "/tmp/k", "delete", "crd", "buildconfigs.build.openshift.io"], None, None))
    noted.on_event("subprocess.Popen", (None, ["bash", "-c", "set -e\nkubectl scale statefulset buildhook -n buildhook --replicas=0"], None, None))
    noted.on_event("subprocess.Popen", (None, ["/x/buildhook-asan", "register", "cart", "--check"], None, None))
    assert noted.lines == {"kubectl scale statefulset buildhook -n buildhook --replicas=0", "kubectl buildhook register cart"}
    lacking = noted.lacks("test_uninstall.py::test_what_stays_after_the_end_needs_no_buildhook")
    assert "kubectl delete namespace buildhook" in lacking and "kubectl scale statefulset buildhook -n buildhook --replicas=0" not in lacking


def make(*args, **more):
    done = subprocess.run(["make", "-s", *args], cwd=ROOT, text=True, capture_output=True, check=False, **more)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_make_help_lists_what_there_is():
    listed = [line.split()[0] for line in make("help").splitlines()]
    assert {"build", "run", "test", "install", "image"} <= set(listed)


@pytest.mark.long  # the two are made again, in half a minute
def test_make_makes_both_images():
    make("image", "builder-image", env={**os.environ, "CONTAINER_STORE": str(CONTAINER_STORE)})


@pytest.mark.long  # clang-tidy and gcc's analyzer look at every file; the bench compiles what it compares with
def test_make_checks_and_measures():
    make("build/release/libbuildhook.a")  # prints what it compiles
    assert make("lint") == ""
    # Its status says whether the figures hold, which a busy machine decides.
    done = subprocess.run(["make", "-s", "bench", "ROWS=pushes --rounds 1 --seconds 1"], cwd=ROOT, text=True, capture_output=True, check=False)
    assert re.search(r"^push of 8 KB, 1 connections: .* (holds|MISSED) ", done.stdout, re.M) and "has the figures" in done.stdout, done.stdout + done.stderr


def test_make_install_brings_program_plug_ins_man_pages_and_completion(tmp_path):
    subprocess.run(["make", "-s", "install", f"DESTDIR={tmp_path}"], cwd=ROOT, check=True)
    root = tmp_path / "usr" / "local"
    version = subprocess.run([root / "bin" / "buildhook", "version"], text=True, capture_output=True, check=True).stdout
    for name in ("kubectl-buildhook", "oc-buildhook"):
        assert subprocess.run([root / "bin" / name, "version"], text=True, capture_output=True, check=True).stdout == version
    for page in ("buildhook.1", "buildhook-status.1", "buildhook-register.1"):
        text = (root / "share" / "man" / "man1" / page).read_text()
        assert text.startswith(f'.TH "{page[:-2]}" 1')
        shown = subprocess.run(["man", "-l", "-"], input=text, text=True, capture_output=True, check=False) if shutil.which("man") else None
        assert not shown or (shown.returncode == 0 and not shown.stderr), shown
    scripts = [p for folder in ("bash-completion", "zsh", "fish") for p in (root / "share" / folder).rglob("*") if p.is_file()]
    assert len(scripts) >= 3 and all("buildhook" in p.read_text() for p in scripts), scripts


# These commands of oc kubectl has under another name.
OC = """#!/bin/sh
case $1 in
extract) kubectl get "$2" -o 'jsonpath={.data.WebHookSecretKey}' | base64 -d ;;
project) exec kubectl config view --minify -o 'jsonpath={..namespace}' ;;
*) exec kubectl "$@" ;;
esac
"""


@pytest.fixture
def shell(cluster, tmp_path):
    """Runs a line with kubectl, oc and the plug-in in the PATH, as somebody whose context has the namespace."""
    bin_ = tmp_path / "bin"
    bin_.mkdir()
    (bin_ / "kubectl").symlink_to(ROOT / "build" / "kubectl")
    (bin_ / "oc").write_text(OC)
    (bin_ / "oc").chmod(0o755)
    for name in ("buildhook", "kubectl-buildhook"):
        (bin_ / name).symlink_to(BUILDHOOK)

    def run(line, namespace_):
        config = yaml.safe_load(cluster.kubeconfig.read_text())
        config["contexts"][0]["context"]["namespace"] = namespace_
        kubeconfig = bin_ / "config"
        kubeconfig.write_text(yaml.safe_dump(config))
        kubeconfig.chmod(0o600)
        line = re.sub(r"(-n|namespace) shop\b", rf"\1 {namespace_}", line)
        for word, value in (("NAME", "cart"), ("TYPE", "github"), ("LABELS", "'!ours'"), ("build/buildhook", "buildhook")):
            line = re.sub(rf"\b{word}\b", value, line)
        env = {**os.environ, "PATH": f"{bin_}:{os.environ['PATH']}", "KUBECONFIG": str(kubeconfig), "KUBERNETES_SERVICE_HOST": ""}
        return subprocess.run(["bash", "-o", "pipefail", "-c", line], cwd=ROOT, env=env, text=True, capture_output=True, timeout=90, check=False)

    return run


def test_what_the_pages_say_about_a_buildconfig_works_as_it_stands(cluster, start, namespace, shell, port):
    buildhook = start(f"--listen=127.0.0.1:{port}", f"--public-url=http://127.0.0.1:{port}", "--status-interval=100ms", "--build-burst=100")
    inline = cluster.namespace()
    triggers = [{"type": "GitHub", "github": {"secretReference": {"name": "cart-github-webhook"}}}]
    cluster.create(namespace, buildconfig("cart", triggers=triggers))
    cluster.create(inline, buildconfig("cart", triggers=[{"type": "GitHub", "github": {"secret": "in-the-open"}}]))
    ready(cluster, namespace, "cart")
    assert push(buildhook, namespace, "cart", cluster.secret_value(namespace, "cart-github-webhook")).json["kind"] == "Build"
    # What docs/moving.md finds with jq: OpenShift's own endpoint started it.
    cluster.custom.create_namespaced_custom_object(GROUP, "v1", inline, "builds", {
        "apiVersion": f"{GROUP}/v1", "kind": "Build", "metadata": {"name": "old-1"}, "spec": {
            "source": {"git": {"uri": "https://git.example.com/a.git"}}, "strategy": {"type": "Docker", "dockerStrategy": {}},
            "triggeredBy": [{"message": "GitHub WebHook", "githubWebHook": {"secret": "<secret>"}}]}})
    failed, shown = [], {}
    # "Make the Secret before that", says the page where it moves an inline secret.
    for line in sorted(commands(), key=lambda line: "create secret" not in line):
        if is_one_of(RUN_HERE, line):
            of_inline = "triggers[?" in line or "create secret" in line or '"op":"add"' in line
            done = shell(line, inline if of_inline else namespace)
            shown[line] = done.stdout
            if done.returncode != 0 or "Sanitizer" in done.stderr:
                failed.append((line, done.stdout, done.stderr))
    assert not failed, failed
    # The read ones show something, and the moved secret is the one that was inline.
    assert all(text.strip() for line, text in shown.items() if "events" not in line), [line for line, text in shown.items() if not text.strip()]
    (found,) = [text for line, text in shown.items() if "| jq" in line.replace("\n", " ")]
    assert f"{inline} old-1 " in found and f"{namespace} cart-1" not in found
    ready(cluster, inline, "cart")
    assert cluster.secret_value(inline, "cart-github-webhook") == "in-the-open"
