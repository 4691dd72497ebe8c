"""explain, send and test, as the owner of one namespace."""

import contextlib
import http.server
import json
import pathlib
import socket
import threading

import pytest
import yaml

from cli import Caller, cluster, fits, owner, ready, web_server  # noqa: F401 - fixtures
from harness import ROOT, buildconfig, github_payload, openshift_path, wait_for

DATA = ROOT / "tests" / "data"
KINDS = {"github": "GitHub", "gitlab": "GitLab", "bitbucket": "Bitbucket", "generic": "Generic"}
COMMIT = "3f2a1b0c9d8e7f6a5b4c3d2e1f0a9b8c7d6e5f4a"


@pytest.fixture
def buildhook(start, port):
    return start(f"--public-url=http://127.0.0.1:{port}", f"--listen=127.0.0.1:{port}", "--status-interval=100ms", "--build-burst=100")


def pkt(line):
    return f"{len(line) + 4:04x}{line}".encode()


@contextlib.contextmanager
def git_server(status=200, refs=(("refs/heads/main", COMMIT),), text=None):
    """Answers what `git ls-remote` asks."""
    lines = [pkt("# service=git-upload-pack\n"), b"0000"]
    lines += [pkt(f"{commit} {ref}{chr(0) + 'multi_ack symref=HEAD:refs/heads/main' if i == 0 else ''}\n") for i, (ref, commit) in enumerate(refs)]
    body = text or b"".join(lines) + b"0000"

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(status if self.path.endswith("/cart.git/info/refs?service=git-upload-pack") else 404)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/cart.git"
    server.shutdown()


def make(cluster, namespace, kinds=("github",), uri=None, **more):
    triggers = [{"type": KINDS[kind], kind: {"secretReference": {"name": f"cart-{kind}"}}} for kind in kinds]
    body = buildconfig("cart", triggers=triggers, **more)
    if uri:
        body["spec"]["source"]["git"]["uri"] = uri
    cluster.create(namespace, body)
    for kind in kinds:
        ready(cluster, namespace, "cart", kind)


def test_the_rules_are_explained_offline(tmp_path):
    owner = Caller(tmp_path / "none")
    path = tmp_path / "bc.yaml"
    path.write_text(yaml.safe_dump(buildconfig("cart", ref="master", annotations={"buildhook.io/skip-ci": "true"})))
    text = fits(owner.ok("explain", "-f", str(path), "--ref", "main"))
    assert "push of refs/heads/main" in text and "NO   ref" in text and "yes  source" in text
    assert "It would build nothing: RefMismatch" in text and "master" in text
    assert "It would start 1 build." in owner.ok("explain", "cart", "-f", str(path), "--ref=master")
    assert "TagIgnored" in owner.ok("explain", "-f", str(path), "--ref=refs/tags/v1")
    # Saved deliveries: with their headers, and the body alone.
    push = DATA / "github" / "push.http"
    assert "It would start 1 build." in owner.ok("explain", "-f", str(path), str(push))
    (tmp_path / "body.json").write_text(json.dumps(github_payload(ref="refs/heads/wip")))
    assert "RefMismatch" in owner.ok("explain", "-f", str(path), str(tmp_path / "body.json"))
    assert "RefMismatch" in owner.ok("explain", "-f", str(path), "-", stdin=(tmp_path / "body.json").read_text())
    done = owner.run("explain", "-f", str(path), str(DATA / "gitlab" / "push.http"))
    words = " ".join(done.stdout_text.split())
    assert done.returncode == 0 and "gitlab Push Hook" in words and "It would start" not in words
    assert "has no gitlab trigger" in words and "buildhook add-trigger cart gitlab" in words
    path.write_text(yaml.safe_dump(buildconfig("cart", triggers=[{"type": "ConfigChange"}])))
    words = " ".join(owner.ok("explain", "-f", str(path), "--ref=main").split())
    assert "has no webhook trigger" in words and "buildhook add-trigger cart TYPE" in words and "would start" not in words
    path.write_text(yaml.safe_dump(buildconfig("cart", ref="master")))
    # Files that cannot be read as a delivery.
    (tmp_path / "x").write_text("hello")
    assert "neither headers nor body" in owner.fails("explain", "-f", str(path), str(tmp_path / "x"))
    assert "No such file" in owner.fails("explain", "-f", str(path), "/nowhere")
    assert "expected BuildConfig" in owner.fails("explain", "-f", str(tmp_path / "x.yaml"), "--ref=main") if (
        tmp_path / "x.yaml").write_text("kind: Pod\n") else True
    assert "which BuildConfig?" in owner.fails("explain", "--ref=main", status=2)
    assert "either --ref R or" in owner.fails("explain", "cart", status=2)


@pytest.mark.parametrize("path", sorted(DATA.glob("*/push.http")), ids=lambda p: p.parent.name)
def test_a_saved_delivery_of_each_host_is_explained_and_sent(cluster, buildhook, owner, path):
    kind = {"gitea": "github", "forgejo": "github", "gogs": "github", "bitbucket-cloud": "bitbucket", "bitbucket-dc": "bitbucket"}.get(
        path.parent.name, path.parent.name)
    make(cluster, owner.namespace, [kind], annotations={"buildhook.io/refs": "**,refs/tags/**"})
    explained = owner.ok("explain", "cart", str(path), "--type", kind)
    assert "It would start" in explained, explained
    dry = owner.ok("send", "cart", kind, str(path), "--dry-run")
    assert dry.startswith("200 DryRun: ") and not cluster.builds(owner.namespace)
    assert owner.ok("send", "cart", kind, str(path)).startswith("200: started cart-1\n")
    assert [b["metadata"]["name"] for b in cluster.builds(owner.namespace)][0] == "cart-1"


def test_send_says_what_was_answered(cluster, buildhook, owner, tmp_path):
    make(cluster, owner.namespace)
    path = tmp_path / "wip.json"
    path.write_text(json.dumps(github_payload(ref="refs/heads/wip")))
    assert owner.ok("send", "cart", "github", str(path)).startswith("200 RefMismatch: pushed refs/heads/wip; this BuildConfig builds main")
    secret = cluster.secret_value(owner.namespace, "cart-github")
    guide = owner.ok("url", "cart", "github", "--with-secret")
    assert "SSL verification  not offered: the URL is http" in guide and "enabled" not in guide
    refused = owner.run("send", "cart", "github", str(path), "--url", f"http://{buildhook.address}/hooks/{owner.namespace}/other/github")
    assert refused.returncode == 1 and "401" in refused.stdout_text and "did not accept your secret" in refused.stdout_text
    assert "the delivery was not taken" in refused.stderr_text
    gone = owner.run("send", "cart", "github", str(path), "--url", "http://127.0.0.1:1/hooks/a/b/github")
    assert gone.returncode == 1 and "127.0.0.1" in gone.stderr_text
    for command in (["send", "cart", "github", str(path)], ["test", "cart", "github"]):
        wrong = owner.run(*command, "--url", "ftp://hooks.example.com/hooks/a/b/github")
        assert wrong.returncode == 2 and "--url" in wrong.stderr_text and "ftp://hooks" in wrong.stderr_text
        assert "expected https://HOST/PATH or http://HOST/PATH" in wrong.stderr_text
    assert secret not in refused.stdout_text + refused.stderr_text + gone.stderr_text


@pytest.mark.parametrize("kind", KINDS)
def test_test_goes_from_outside_in_to_the_build(cluster, buildhook, owner, kind):
    with git_server() as uri:
        make(cluster, owner.namespace, [kind], uri=uri)
        dry = fits(owner.ok("test", "cart", kind, "--dry-run"))
        assert not cluster.builds(owner.namespace) and "FAIL" not in dry
        text = owner.ok("test", "cart", kind)
    names = [line[6:].split("  ")[0] for line in text.splitlines()[2:] if line[:3] in ("ok ", "-  ")]
    assert names == ["name resolves", "server connects", "certificate", "buildhook answers", "proof holds", "rule matches", "build started"], text
    (build,) = cluster.builds(owner.namespace)
    assert build["spec"]["revision"]["git"]["commit"] == COMMIT and "cart-1" in text
    assert cluster.secret_value(owner.namespace, f"cart-{kind}") not in text


def test_test_stays_a_dry_run_where_the_commit_is_not_known(cluster, buildhook, owner):
    with git_server(status=401) as uri:
        make(cluster, owner.namespace, uri=uri)
        text = " ".join(owner.ok("test", "cart", "github").split())
        assert "is not known: the Git server answers 401: it is private" in text and not cluster.builds(owner.namespace)
        assert "cart-1" in owner.ok("test", "cart", "github", "--commit", COMMIT)
    for more, words in ((dict(refs=[("refs/heads/other", COMMIT)]), "the repository has no refs/heads/main"), (dict(text=b"<html>"), "not one of a Git server's")):
        with git_server(**more) as uri:
            cluster.patch(owner.namespace, "cart", {"spec": {"source": {"git": {"uri": uri}}}})
            assert words in " ".join(owner.ok("test", "cart", "github").split())
    with git_server(refs=[("refs/heads/main", "0" * 39 + "2"), ("refs/tags/v1", "1" * 40), ("refs/tags/v1^{}", COMMIT)]) as uri:
        cluster.patch(owner.namespace, "cart", {"spec": {"source": {"git": {"uri": uri}}}, "metadata": {"annotations": {"buildhook.io/refs": "refs/tags/v*"}}})
        wait_for("the rule", lambda: "cart-2" in owner.run("test", "cart", "github", "--ref=refs/tags/v1").stdout_text)
        assert cluster.builds(owner.namespace)[-1]["spec"]["revision"]["git"]["commit"] == COMMIT
    assert "expected a whole commit id" in owner.fails("test", "cart", "github", "--commit=3f2a1b0", status=2)


def failing(owner, *args):
    """The step that fails, and its text."""
    done = owner.run(*args)
    assert done.returncode == 1 and not done.stderr_text, (done.stdout_text, done.stderr_text)
    (at,) = [i for i, line in enumerate(done.stdout_text.splitlines()) if line.startswith("FAIL")]
    text = " ".join(" ".join(done.stdout_text.splitlines()[at:]).split())
    return text


def test_each_step_that_fails_is_named(cluster, buildhook, owner, tmp_path):
    namespace = owner.namespace
    make(cluster, namespace)
    path = f"/hooks/{namespace}/cart/github"
    assert "FAIL name resolves" in failing(owner, "test", "cart", "github", "--url", "https://no-such-host.invalid" + path)
    assert "FAIL server connects" in failing(owner, "test", "cart", "github", "--url", "https://127.0.0.1:1" + path)
    with web_server(tmp_path, tls=True) as other:
        assert "FAIL certificate" in failing(owner, "test", "cart", "github", "--url", other + path)
    with git_server() as other:
        text = failing(owner, "test", "cart", "github", "--url", other.replace("/cart.git", path))
        assert "FAIL buildhook answers" in text and "404" in text
    for elsewhere in (f"/hooks/{namespace}/other/github", ""):
        text = failing(owner, "test", "cart", "github", "--url", f"http://{buildhook.address}{elsewhere}")
        assert "FAIL proof holds" in text and f"not the address of this webhook: it ends in {path}" in text, text
    text = failing(owner, "test", "cart", "github", "--url", f"http://{buildhook.address}{openshift_path(namespace, 'cart', 'wrong', 'github')}")
    assert "FAIL proof holds" in text and "Secret cart-github" in text, text
    text = failing(owner, "test", "cart", "github", "--ref=wip")
    assert "FAIL rule matches RefMismatch" in text and "this BuildConfig builds main" in text
    assert "no gitlab trigger" in owner.fails("test", "cart", "gitlab")
    assert "kubectl" in owner.fails("test", "cart", "github", "-n", "default")


def test_a_secret_that_is_gone_is_made_again(cluster, buildhook, owner):
    """status does not look at Secrets; test and rotate make buildhook do so, and say what to paste."""
    namespace, name = owner.namespace, "cart-github"
    make(cluster, namespace)
    first = cluster.secret_value(namespace, name)
    cluster.core.delete_namespaced_secret(name, namespace)
    text = owner.fails("url", "cart", "github", "--with-secret")
    assert text.startswith(f'Error from server (NotFound): secrets "{name}" not found\n') and "rotate NAME` makes it now" in text
    text = failing(owner, "test", "cart", "github", "--dry-run")
    assert "FAIL proof holds" in text and "buildhook has now made a new value: `buildhook url cart github --with-secret` prints it" in text, text
    second = cluster.secret_value(namespace, name)
    assert second != first and second in owner.ok("url", "cart", "github", "--with-secret")
    cluster.core.delete_namespaced_secret(name, namespace)
    assert f"secret/{name} has a new value; no old one is accepted" in owner.ok("rotate", "cart")
    assert owner.ok("test", "cart", "github", "--dry-run") and cluster.secret_value(namespace, name) not in (first, second)
    # An emptied Secret shows in its step and in the state, and rotate mends it.
    cluster.core.patch_namespaced_secret(name, namespace, {"stringData": {"WebHookSecretKey": ""}})
    text = failing(owner, "test", "cart", "github", "--dry-run")
    assert "has no value at WebHookSecretKey: `buildhook rotate cart github` makes one" in text and "State: NotReady: " in text, text
    assert "no old one is accepted" in owner.ok("rotate", "cart", "github")
