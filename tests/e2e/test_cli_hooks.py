"""url, add-trigger and rotate, as the owner of one namespace."""

import base64
import contextlib
import json
import select
import socket
import socketserver
import threading

import pytest
import yaml

from cli import Owner, cluster, fits, owner, ready  # noqa: F401 - fixtures
from documented import ran
from harness import buildconfig, push, wait_for
from proxy import Proxy

PUBLIC = "--public-url=https://hooks.example.com"


@pytest.fixture
def buildhook(start):
    return start(PUBLIC, "--rotation-grace=1h")


def test_url_prints_what_is_pasted(cluster, buildhook, owner):
    namespace = owner.namespace
    triggers = [{"type": "GitHub", "github": {"secretReference": {"name": "a"}}}, {"type": "GitLab", "gitlab": {"secret": "inline"}}]
    cluster.create(namespace, buildconfig("cart", triggers=triggers))
    ready(cluster, namespace, "cart")
    ready(cluster, namespace, "cart", "gitlab")
    github, gitlab = (f"https://hooks.example.com/hooks/{namespace}/cart/{kind}" for kind in ("github", "gitlab"))
    assert owner.ok("url", "cart", "github") == github + "\n"
    assert owner.ok("url", "cart").split() == ["github", github, "gitlab", gitlab]
    secret = cluster.secret_value(namespace, "a")
    guide = owner.ok("url", "cart", "github", "--with-secret")
    for words in (("Payload URL", github), ("Content type", "application/json"), ("Secret", secret), ("Events", "Just the push event")):
        assert any(line.split(None, len(words[0].split()))[-1] == words[1] and words[0] in line for line in guide.splitlines()), guide
    both = owner.ok("url", "cart", "--with-secret")
    assert secret in both and "inline" in both and "Secret token" in both
    found = json.loads(owner.ok("url", "cart", "-o", "json"))["items"]
    assert [(i["type"], i["url"], i.get("secret")) for i in found] == [("github", github, None), ("gitlab", gitlab, None)]
    assert [i["secret"] for i in json.loads(owner.ok("url", "cart", "--with-secret", "-ojson"))["items"]] == [secret, "inline"]
    for args in (["url", "cart"], ["url", "cart", "-o", "json"], ["url", "nothing"], ["rotate", "cart", "gitlab"]):
        done = owner.run(*args)
        assert secret not in done.stdout_text + done.stderr_text and "inline" not in done.stdout_text.replace("(inline)", "")


def test_what_cannot_be_done_is_said_as_kubectl_says_it(cluster, buildhook, owner, tmp_path):
    namespace = owner.namespace
    cluster.create(namespace, buildconfig("cart"))
    ready(cluster, namespace, "cart")
    text = owner.fails("url", "nothing")
    assert text.startswith('Error from server (NotFound): buildconfigs.build.openshift.io "nothing" not found\n')
    assert f"kubectl get buildconfigs -n {namespace}" in text
    text = owner.fails("url", "cart", "-n", "default")
    assert text.startswith('Error from server (Forbidden): buildconfigs.build.openshift.io "cart" is forbidden: User ')
    assert 'in the namespace "default"' in text and "kubectl auth can-i --list -n default" in text
    assert owner.fails("url", "cart", "--context", "elsewhere") == text
    assert 'context "x" does not exist; contexts are: mine, elsewhere' in owner.fails("url", "cart", "--context=x")
    assert "no gitlab trigger, only github; `buildhook add-trigger cart gitlab` adds one" in owner.fails("url", "cart", "gitlab")
    assert "expected github, gitlab, bitbucket or generic" in owner.fails("url", "cart", "svn", status=2)
    assert "is not a name" in owner.fails("url", "../x", status=2)
    # Without the right to read Secrets.
    rules = [{"apiGroups": ["build.openshift.io"], "resources": ["buildconfigs"], "verbs": ["get", "patch"]},
             {"apiGroups": ["build.openshift.io"], "resources": ["builds/docker"], "verbs": ["create"]}]
    reader = Owner(cluster, namespace, tmp_path, rules)
    assert reader.ok("url", "cart", "github")
    assert 'secrets "cart-hook" is forbidden' in reader.fails("url", "cart", "github", "--with-secret")
    assert '"cart" has the github trigger, but you may not read its secret' in reader.fails("add-trigger", "cart", "github")
    assert '"cart" now has the gitlab trigger, but you may not read its secret' in reader.fails("add-trigger", "cart", "gitlab")
    # Without a user, and without a server.
    for change, words in ((lambda c: c["users"][0]["user"].update(token="wrong"), "error: You must be logged in to the server (Unauthorized)"),
                          (lambda c: c["clusters"][0]["cluster"].update(server="https://127.0.0.1:1"),
                           "Unable to connect to the server: Failed to connect to 127.0.0.1 port 1"),
                          (lambda c: c["clusters"][0]["cluster"].update(server="https://no-such-host.invalid"),
                           "Unable to connect to the server: ")):
        config = yaml.safe_load(owner.kubeconfig.read_text())
        change(config)
        path = tmp_path / "other"
        path.write_text(yaml.safe_dump(config))
        text = owner.fails("url", "cart", "--kubeconfig", path)
        assert text.startswith(words) and len(text.splitlines()) == 2, text


def test_an_exec_plug_in_and_a_list_of_kubeconfigs_are_taken(cluster, buildhook, owner, tmp_path):
    namespace = owner.namespace
    cluster.create(namespace, buildconfig("cart"))
    ready(cluster, namespace, "cart")
    config = yaml.safe_load(owner.kubeconfig.read_text())
    token = config["users"][0]["user"]["token"]
    plugin = tmp_path / "plugin"
    plugin.write_text('#!/bin/sh\necho \'{"apiVersion":"client.authentication.k8s.io/v1","kind":"ExecCredential","status":{"token":"\'"$T"\'"}}\'\n')
    plugin.chmod(0o755)
    execs = {"apiVersion": "client.authentication.k8s.io/v1", "command": "./plugin", "interactiveMode": "Never", "env": [{"name": "T", "value": token}]}
    users = {"apiVersion": "v1", "kind": "Config", "users": [{"name": "owner", "user": {"exec": execs}}]}
    (tmp_path / "users").write_text(yaml.safe_dump(users))
    (tmp_path / "rest").write_text(yaml.safe_dump({**config, "users": []}))
    # The kubeconfig's variable wins over one that is set already.
    env = {"T": "other", "KUBECONFIG": f"{tmp_path}/users:{tmp_path}/missing:{tmp_path}/rest"}
    assert "hooks.example.com" in owner.ok("url", "cart", "github", env=env)
    plugin.write_text("#!/bin/sh\nexit 3\n")
    assert "ended with status 3" in owner.fails("url", "cart", env=env)


class OAuth(Proxy):
    """Knows whose an OpenShift token is, as its API server does."""

    def __init__(self, token, stands_for, *rest):
        self.token, self.stands_for = f"Bearer {token}\r\n".encode(), f"Bearer {stands_for}\r\n".encode()
        super().__init__(*rest)

    async def _connect(self):
        reader, writer = await super()._connect()
        write = writer.write
        writer.write = lambda data: write(data.replace(self.token, self.stands_for))
        return reader, writer


def test_a_kubeconfig_as_oc_login_writes_it_is_taken(cluster, buildhook, owner, tmp_path):
    namespace = owner.namespace
    cluster.create(namespace, buildconfig("cart"))
    ready(cluster, namespace, "cart")
    token = "sha256~" + base64.urlsafe_b64encode(bytes(range(32))).decode().rstrip("=")
    (tmp_path / "kubeconfig").write_text(owner.kubeconfig.read_text())
    oauth = OAuth(token, owner.config["users"][0]["user"]["token"], tmp_path / "kubeconfig", tmp_path)
    try:
        written = yaml.safe_load((tmp_path / "kubeconfig").read_text())
        entry = written["clusters"][0]["cluster"]
        host = entry["server"].removeprefix("https://").replace(".", "-")
        context = f"{namespace}/{host}/kube:admin"
        written.update({
            "clusters": [{"name": host, "cluster": entry}], "users": [{"name": f"kube:admin/{host}", "user": {"token": token}}],
            "contexts": [{"name": context, "context": {"cluster": host, "namespace": namespace, "user": f"kube:admin/{host}"}},
                         {"name": f"default/{host}/kube:admin", "context": {"cluster": host, "namespace": "default", "user": f"kube:admin/{host}"}}],
            "current-context": context})

        def run(*args, **changes):
            written["clusters"][0]["cluster"] = {**entry, **changes}
            (tmp_path / "kubeconfig").write_text(yaml.safe_dump(written))
            done = owner.run(*args, "--kubeconfig", tmp_path / "kubeconfig")
            assert token not in done.stdout_text + done.stderr_text
            return done

        assert run("status").stdout_text.splitlines()[1].split()[:3] == ["cart", "github", "Ready"]
        assert cluster.secret_value(namespace, "cart-hook") in run("url", "cart", "--with-secret").stdout_text
        assert run("rotate", "cart").returncode == 0
        assert 'in the namespace "default"' in run("status", "--context", f"default/{host}/kube:admin").stderr_text
        # With a certificate that nobody knows, where the login was told to go on.
        unknown = {"certificate-authority-data": base64.b64encode((cluster.dir / "pki" / "ca.crt").read_bytes()).decode()}
        assert run("status", **unknown).returncode == 1
        del entry["certificate-authority-data"]
        assert "Ready" in run("status", **{"insecure-skip-tls-verify": True}).stdout_text
        # A day later.
        oauth.token = b"nothing"
        ended = run("status", **{"insecure-skip-tls-verify": True})
        assert ended.returncode == 1 and "You must be logged in to the server" in ended.stderr_text and "oc login" in ended.stderr_text
    finally:
        oauth.close()
    ran.note("oc login")


@contextlib.contextmanager
def connect_proxy(target):
    """An HTTP proxy that leads every CONNECT to TARGET. Yields its address and the list of what was asked for."""
    asked = []

    class Handler(socketserver.StreamRequestHandler):
        def handle(self):
            asked.append(self.rfile.readline().split()[1].decode())
            while self.rfile.readline().strip():
                pass
            with socket.create_connection(target) as upstream:
                self.wfile.write(b"HTTP/1.1 200 OK\r\n\r\n")
                ends = {self.connection: upstream, upstream: self.connection}
                while ends:
                    for end in select.select(list(ends), [], [], 20)[0]:
                        data = end.recv(65536)
                        if not data:
                            return
                        ends[end].sendall(data)

    server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}", asked
    finally:
        server.shutdown()
        server.server_close()


def test_proxies_and_client_certificates_are_used_as_by_kubectl(cluster, buildhook, owner, tmp_path):
    cluster.create(owner.namespace, buildconfig("cart"))
    ready(cluster, owner.namespace, "cart")
    config = yaml.safe_load(cluster.kubeconfig.read_text())
    (user,), entry = config["users"], config["clusters"][0]["cluster"]
    assert set(user["user"]) == {"client-certificate-data", "client-key-data"}, "the admin of the development cluster has a client certificate"
    host, _, port = entry["server"].removeprefix("https://").rpartition(":")
    path = tmp_path / "admin"

    def run(env=None, **changes):
        config["clusters"][0]["cluster"] = {**entry, **changes}
        path.write_text(yaml.safe_dump(config))
        return owner.run("status", "-n", owner.namespace, "--kubeconfig", path, env=env)

    assert "cart" in run().stdout_text
    # The certificate in files, named from the kubeconfig's folder.
    for key, file in (("client-certificate", "crt"), ("client-key", "key")):
        (tmp_path / file).write_bytes(base64.b64decode(user["user"].pop(f"{key}-data")))
        user["user"][key] = file
    assert "cart" in run().stdout_text
    elsewhere = {"server": f"https://api.example.invalid:{port}", "tls-server-name": host}
    with connect_proxy((host, int(port))) as (proxy, asked):
        assert "cart" in run({"HTTPS_PROXY": proxy}, **elsewhere).stdout_text and asked[0] == f"api.example.invalid:{port}"
        asked.clear()
        none = run({"HTTPS_PROXY": proxy, "NO_PROXY": ".example.invalid"}, **elsewhere)
        assert none.returncode == 1 and not asked and none.stderr_text.startswith("Unable to connect to the server: "), none.stderr_text
        # For a loopback address only the kubeconfig's proxy is used.
        assert "cart" in run({"HTTPS_PROXY": proxy}).stdout_text and not asked
        assert "cart" in run(**{"proxy-url": proxy}).stdout_text and asked[0] == f"{host}:{port}"
    done = run(**{"proxy-url": proxy})
    assert done.returncode == 1 and done.stderr_text.startswith("Unable to connect to the server: "), done.stderr_text


def test_a_webhook_in_one_command(cluster, buildhook, owner):
    """add-trigger prints what is pasted, and what was pasted builds; nothing else of the object changes."""
    namespace = owner.namespace
    body = buildconfig("cart", triggers=[{"type": "ConfigChange"}])
    body["spec"]["completionDeadlineSeconds"] = 1800
    before = cluster.create(namespace, body)
    text = owner.ok("add-trigger", "cart", "github")
    secret = cluster.secret_value(namespace, "cart-github-webhook")
    assert f"https://hooks.example.com/hooks/{namespace}/cart/github" in text and secret in text
    after = cluster.get(namespace, "cart")
    assert push(buildhook, namespace, "cart", secret).status == 200
    wanted = {"type": "GitHub", "github": {"secretReference": {"name": "cart-github-webhook"}}}
    assert after["spec"] == {**before["spec"], "triggers": [{"type": "ConfigChange"}, wanted]}
    assert not {k for k in after["metadata"].get("annotations", {}) if "github" not in k and k.startswith("buildhook.io/") and k != "buildhook.io/hint"}
    # A second time changes nothing.
    again = owner.run("add-trigger", "cart", "github")
    assert again.returncode == 0 and again.stdout_text == text and "has a github trigger already" in again.stderr_text
    assert len(cluster.get(namespace, "cart")["spec"]["triggers"]) == 2
    # Where there is no list of triggers yet.
    body = buildconfig("blog")
    del body["spec"]["triggers"]
    cluster.create(namespace, body)
    assert "Bearer token" in owner.ok("add-trigger", "blog", "generic")
    assert [t["type"] for t in cluster.get(namespace, "blog")["spec"]["triggers"]] == ["Generic"]
    assert "not found" in owner.fails("add-trigger", "nothing", "github")
    assert owner.fails("add-trigger", "cart", status=2)


def test_rotate_makes_a_new_secret_and_says_how_long_the_old_one_counts(cluster, buildhook, owner):
    namespace = owner.namespace
    triggers = [{"type": "GitHub", "github": {"secretReference": {"name": "mine"}}}, {"type": "GitLab", "gitlab": {"secretReference": {"name": "b"}}},
                {"type": "Generic", "generic": {"secret": "inline"}}]
    cluster.create(namespace, buildconfig("cart", triggers=triggers))
    ready(cluster, namespace, "cart", "gitlab")
    wait_for("the secrets", lambda: cluster.find_secret_value(namespace, "mine") and cluster.find_secret_value(namespace, "b"))
    old = {name: cluster.secret_value(namespace, name) for name in ("mine", "b")}
    text = owner.ok("rotate", "cart", "github")
    new = cluster.secret_value(namespace, "mine")
    until = cluster.core.read_namespaced_secret("mine", namespace).metadata.annotations["buildhook.io/previous-until"]
    assert new != old["mine"] and cluster.secret_value(namespace, "b") == old["b"]
    assert f"secret/mine rotated; the old value is accepted until {until}" in text and "Payload URL" in text
    assert new not in text and old["mine"] not in text
    # Printing it does not rotate it again.
    assert "`buildhook url cart github --with-secret` prints it" in text and "Add webhook" not in text
    again = owner.run("rotate", "cart", "--with-secret")
    text = again.stdout_text
    assert again.returncode == 0 and f"secret/mine is being rotated already: the value that was accepted until {until} no longer is" in again.stderr_text
    assert "secret/b is" not in again.stderr_text
    assert cluster.secret_value(namespace, "mine") in text and cluster.secret_value(namespace, "b") in text
    assert cluster.secret_value(namespace, "mine") != new and cluster.secret_value(namespace, "b") != old["b"]
    assert "buildhook made no secret" in owner.fails("rotate", "cart", "generic")
    # A Secret without a value has no old value to accept.
    cluster.core.patch_namespaced_secret("b", namespace, {"data": None})
    assert "`buildhook rotate cart gitlab` makes one" in owner.fails("url", "cart", "gitlab", "--with-secret")
    text = owner.ok("rotate", "cart", "gitlab")
    assert "secret/b has a new value; no old one is accepted\nPaste the new one now." in text, text
