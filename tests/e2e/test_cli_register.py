"""`buildhook register` against stand-ins of each Git host that refuse a wrong field."""

import contextlib
import fcntl
import json
import os
import pty
import re
import select
import signal
import subprocess
import termios
import time

import pytest

from cli import CLUSTERS, cluster, owner, ready  # noqa: F401
from git_hosts import KINDS, TOKEN, DataCenter, GitHub, Gitea, path_of, secret_of, url_of
from harness import BUILDHOOK, buildconfig, wait_for

TRIGGERS = {
    "github": {"type": "GitHub", "github": {"secretReference": {"name": "cart-hook"}}},
    "gitlab": {"type": "GitLab", "gitlab": {"secretReference": {"name": "cart-hook"}}},
    "bitbucket": {"type": "Bitbucket", "bitbucket": {"secretReference": {"name": "cart-hook"}}},
}
PUBLIC = "https://hooks.example.com"


def kind_type(kind):
    return {"gitlab": "gitlab", "bitbucket": "bitbucket", "bitbucket-dc": "bitbucket"}.get(kind, "github")


@pytest.fixture(scope="module")
def cluster(request):  # noqa: F811
    return request.getfixturevalue(f"{CLUSTERS[0]}_cluster")


@pytest.fixture
def host(request):
    one = request.param()
    yield one
    one.close()


@pytest.fixture
def prepared(cluster, start, namespace, owner):  # noqa: F811
    """prepare(host): a BuildConfig of a repository at that host; returns (buildhook, flags, secret)."""
    def prepare(one, **body):
        buildhook = start("--public-url", PUBLIC)
        bc = buildconfig("cart", triggers=[TRIGGERS[kind_type(one.kind)]], **body)
        scm = "/scm" if one.kind == "bitbucket-dc" else ""
        bc["spec"]["source"]["git"]["uri"] = f"{one.origin}{scm}/shop/cart.git"
        cluster.create(namespace, bc)
        ready(cluster, namespace, "cart", kind_type(one.kind))
        one.deliver = lambda url, headers, raw: buildhook.request(path_of(url), raw, headers)
        return buildhook, ["--host", one.kind, "--api-url", one.api], cluster.secret_value(namespace, "cart-hook")

    return prepare



ENV = {"BUILDHOOK_TOKEN": TOKEN}


@pytest.mark.parametrize("host", KINDS, indirect=True, ids=lambda k: k.kind)
def test_it_makes_mends_checks_and_removes_the_webhook(host, prepared, owner, namespace):  # noqa: F811
    _, flags, secret = prepared(host)
    kind = kind_type(host.kind)
    url = f"{PUBLIC}/hooks/{namespace}/cart/{kind}"
    assert "has no webhook" in owner.fails("register", "cart", *flags, "--check", env=ENV)
    assert " made" in owner.ok("register", "cart", *flags, env=ENV)
    (hook,) = host.hooks.values()
    assert url_of(hook) == url and secret_of(hook) == secret

    # A second run makes no second webhook and loses nothing.
    assert "nothing differed" in owner.ok("register", "cart", kind, *flags, env=ENV)
    (hook,) = host.hooks.values()
    assert url_of(hook) == url and secret_of(hook) == secret

    # Changed settings are reported, and mended.
    moved = f"https://old.example.com/hooks/{namespace}/cart/{kind}"
    if "config" in hook:
        hook["config"].update(url=moved, content_type="form", secret="other")
        hook.update(active=False, events=["create"])
    else:
        hook.update(url=moved)
        hook.update({"push_events": False, "enable_ssl_verification": False, "token": "other"} if kind == "gitlab"
                    else {"active": False, "secret": "other", "events": []})
    said = owner.run("register", "cart", *flags, "--check", env=ENV)
    assert said.returncode == 1 and "old.example.com" in said.stdout_text and "differ" in said.stderr_text
    assert "set again" in owner.ok("register", "cart", *flags, env=ENV)
    (hook,) = host.hooks.values()
    assert url_of(hook) == url and secret_of(hook) == secret
    assert secret not in said.stdout_text + said.stderr_text

    assert "removed" in owner.ok("register", "cart", *flags, "--remove", "--yes", env=ENV)
    assert not host.hooks
    assert "has no webhook" in owner.ok("register", "cart", *flags, "--remove", "--yes", env=ENV)


@pytest.mark.parametrize("host", [GitHub, Gitea], indirect=True, ids=lambda k: k.kind)
def test_the_hosts_own_test_proves_the_secret_and_builds_nothing(host, prepared, owner, cluster, namespace):  # noqa: F811
    _, flags, _ = prepared(host, annotations={"buildhook.io/refs": "*, refs/tags/*"})
    owner.ok("register", "cart", *flags, env=ENV)
    assert "The secret is right" in owner.ok("register", "cart", *flags, "--check", env=ENV)
    assert not cluster.builds(namespace)
    (hook,) = host.hooks.values()
    # It is a ping to the owner, not a push that something is wrong with.
    assert re.search(r"ago: (ping|test)\b", owner.ok("status")) and "ignored" not in owner.ok("history", "cart")
    hook["config"]["secret"] = "another"
    time.sleep(1)
    assert "was refused" in owner.fails("register", "cart", *flags, "--check", env=ENV)
    # Refused requests are written once a minute. What is written late is no word about the test that mended it.
    host.ping(hook, {})
    owner.ok("register", "cart", *flags, env=ENV)
    time.sleep(1)
    assert "The secret is right" in owner.ok("register", "cart", *flags, "--check", env=ENV)


@pytest.mark.long  # waits a minute
@pytest.mark.parametrize("host", [Gitea], indirect=True, ids=lambda k: k.kind)
def test_a_second_refused_test_is_waited_for(host, prepared, owner):  # noqa: F811
    _, flags, _ = prepared(host)
    owner.ok("register", "cart", *flags, env=ENV)
    (hook,) = host.hooks.values()
    hook["config"]["secret"] = "another"
    assert "was refused" in owner.fails("register", "cart", *flags, "--check", env=ENV)
    again = owner.fails("register", "cart", *flags, "--check", env=ENV, timeout=90)
    assert "was refused" in again and "this may take" in again


@pytest.mark.parametrize("host", [GitHub], indirect=True)
def test_openshifts_own_url_is_known_as_ours_and_several_are_not_guessed_at(host, prepared, owner, namespace):  # noqa: F811
    _, flags, _ = prepared(host)
    old = f"https://api.example.com/apis/build.openshift.io/v1/namespaces/{namespace}/buildconfigs/cart/webhooks/hidden-canary/github"
    for number in range(101):
        host.add({"name": "web", "active": True, "events": ["push"], "config": {"url": f"https://ci.example.com/{number}", "content_type": "json"}})
    mine = host.add({"name": "web", "active": True, "events": ["push"], "config": {"url": old, "content_type": "form"}})
    said = owner.run("register", "cart", *flags, "--check", env=ENV)
    assert said.returncode == 1 and "hidden-canary" not in said.stdout_text + said.stderr_text
    owner.ok("register", "cart", *flags, env=ENV)
    assert url_of(host.hooks[str(mine["id"])]).startswith(PUBLIC) and len(host.hooks) == 102
    host.add({"name": "web", "active": True, "events": ["push"], "config": {"url": old, "content_type": "json"}})
    said = owner.fails("register", "cart", *flags, env=ENV)
    assert "2 webhooks" in said and "hidden-canary" not in said and "<secret>" in said


@pytest.mark.parametrize("host", KINDS, indirect=True, ids=lambda k: k.kind)
def test_a_token_that_may_not_is_told_what_it_lacks(host, prepared, owner, tmp_path):  # noqa: F811
    _, flags, _ = prepared(host)
    said = owner.fails("register", "cart", *flags, env={"BUILDHOOK_TOKEN": "wrong-canary"})
    assert "401" in said and "token" in said and "wrong-canary" not in said
    file = tmp_path / "token"
    file.write_text(TOKEN + "\n")
    assert " made" in owner.ok("register", "cart", *flags, "--token-file", str(file))
    assert "no token" in owner.fails("register", "cart", *flags, env={"BUILDHOOK_TOKEN": ""}, start_new_session=True)
    assert "empty" in owner.fails("register", "cart", *flags, env={"BUILDHOOK_TOKEN": "a\r\nX-Injected: 1"})


@pytest.mark.parametrize("host", [k for k in KINDS if k.kind not in ("gogs", "bitbucket")], indirect=True, ids=lambda k: k.kind)
def test_an_unknown_host_is_asked_without_the_token_and_confirmed_by_a_person(host, prepared, owner):  # noqa: F811
    prepared(host)
    # Without a terminal there is no confirmation, and --yes is none.
    said = owner.fails("register", "cart", "--yes", env=ENV, start_new_session=True)
    assert f"--host {host.kind}" in said and host.api in said
    assert not any(TOKEN in str(headers) for _, _, headers, _ in host.requests)

    pid, terminal = pty.fork()
    if pid == 0:
        os.execve(BUILDHOOK, [str(BUILDHOOK), "register", "cart"], {**os.environ, "KUBECONFIG": str(owner.kubeconfig), **ENV})
    shown = b""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        if select.select([terminal], [], [], 1)[0]:
            try:
                part = os.read(terminal, 4096)
            except OSError:
                break
            if not part:
                break
            shown += part
            if part.endswith(b"[y/N] "):
                os.write(terminal, b"y\n")
    _, status = os.waitpid(pid, 0)
    os.close(terminal)
    assert os.waitstatus_to_exitcode(status) == 0, shown
    assert b"Send your token to" in shown and TOKEN.encode() not in shown
    assert len(host.hooks) == 1


@pytest.mark.parametrize("host", [GitHub], indirect=True)
def test_what_cannot_be_is_refused_in_words(host, prepared, owner, cluster, namespace):  # noqa: F811
    _, flags, _ = prepared(host)
    assert "TYPE github, not gitlab" in owner.fails("register", "cart", "gitlab", *flags, env=ENV)
    assert "--host svn" in owner.fails("register", "cart", "--host", "svn", env=ENV)
    assert "needs --host" in owner.fails("register", "cart", "--api-url", "https://git.example.net/api", env=ENV)
    assert "exclude" in owner.fails("register", "cart", "--check", "--remove", status=2, env=ENV)
    assert "http" in owner.fails("register", "cart", "--host", "github", "--api-url", "http://192.0.2.1/api/v3", env=ENV)
    cluster.patch(namespace, "cart", {"spec": {"source": {"git": {"uri": "https://good.example.com@evil/../x"}}}})
    wait_for("the change", lambda: "evil" in cluster.get(namespace, "cart")["spec"]["source"]["git"]["uri"])
    assert "expected the address of a repository" in owner.fails("register", "cart", *flags, env=ENV)


@pytest.mark.parametrize("host", [GitHub], indirect=True)
def test_the_token_is_in_no_argument_and_the_environment_alone_holds_it(host, prepared, owner):  # noqa: F811
    _, flags, secret = prepared(host)
    seen = []
    original = host.route

    def look(*args):
        listed = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True).stdout
        seen.append(TOKEN in listed or secret in listed)
        return original(*args)

    host.route = look
    owner.ok("register", "cart", *flags, env=ENV)
    assert seen and not any(seen)


@contextlib.contextmanager
def asked(owner, flags):  # noqa: F811
    """`register` on a terminal of its own, once it has asked for the token: the process, and both ends of the terminal."""
    ours, side = pty.openpty()

    def take_terminal():
        fcntl.ioctl(side, termios.TIOCSCTTY, 0)
        # A shell's background job ignores them.
        for number in (signal.SIGINT, signal.SIGQUIT):
            signal.signal(number, signal.SIG_DFL)

    process = owner.start("register", "cart", *flags, env={"BUILDHOOK_TOKEN": ""}, stdin=side, start_new_session=True, preexec_fn=take_terminal)
    try:
        shown = b""
        while b"Token for " not in shown:
            assert select.select([ours], [], [], 30)[0], "not asked"
            shown += os.read(ours, 4096)
        assert not has_echo(side), "asked before the echo was off"
        yield process, ours, side
    finally:
        process.kill()
        process.communicate()
        os.close(ours)
        os.close(side)


def has_echo(terminal):
    return bool(termios.tcgetattr(terminal)[3] & termios.ECHO)


@pytest.mark.parametrize("host", [GitHub], indirect=True)
def test_a_token_that_is_typed_is_not_shown(host, prepared, owner):  # noqa: F811
    _, flags, _ = prepared(host)
    with asked(owner, flags) as (process, ours, side):
        os.write(ours, TOKEN.encode() + b"\n")
        said, _ = process.communicate(timeout=30)
        assert process.returncode == 0 and " made" in said and has_echo(side)
        while select.select([ours], [], [], 0.1)[0]:
            assert TOKEN.encode() not in os.read(ours, 4096)
    assert len(host.hooks) == 1


@pytest.mark.parametrize("host", [GitHub], indirect=True)
@pytest.mark.parametrize("key", [b"\x03", b"\x1c", None], ids=["Ctrl-C", "Ctrl-backslash", "SIGTERM"])
def test_a_terminal_that_was_asked_for_the_token_echoes_again_when_it_ends(host, prepared, owner, key):  # noqa: F811
    _, flags, _ = prepared(host)
    with asked(owner, flags) as (process, ours, side):
        if key:
            os.write(ours, b"half" + key)
        else:
            process.terminate()
        process.communicate(timeout=30)
        assert has_echo(side)
        # Ended by the signal, as a shell expects it, and nothing was sent.
        assert process.returncode == -{b"\x03": signal.SIGINT, b"\x1c": signal.SIGQUIT, None: signal.SIGTERM}[key]
    assert not host.requests


class Hostile(GitHub):
    """Answers every request with what `reply(method, path)` returns: status, fields and body. Body None has no end."""

    def __init__(self):
        super().__init__()
        self.reply = lambda method, path: (200, {}, b"[]")
        handler = self.server.RequestHandlerClass
        host = self

        def answer(self):
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            host.requests.append((self.command, self.path, dict(self.headers), body))
            status, fields, content = host.reply(self.command, self.path)
            self.send_response(status)
            for name, value in fields.items():
                self.send_header(name, value)
            if isinstance(content, bytes):
                self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            try:
                while content is None:
                    self.wfile.write(b"[" * 65536)
                self.wfile.write(content)
            except OSError:
                self.close_connection = True

        handler.do_GET = handler.do_POST = handler.do_PATCH = handler.do_PUT = handler.do_DELETE = answer


@pytest.mark.parametrize("host", [Hostile], indirect=True)
def test_the_token_follows_no_redirect(host, prepared, owner):  # noqa: F811
    _, flags, _ = prepared(host)
    other = Hostile()
    try:
        for status in (301, 302, 303, 307, 308):
            host.reply = lambda method, path, status=status: (status, {"Location": f"{other.origin}{path}\x1b"}, b"")
            said = owner.fails("register", "cart", *flags, env=ENV)
            assert f"redirect to \"{other.origin}" in said and "--api-url" in said and "\x1b" not in said
        host.reply = lambda method, path: (200, {}, b"[]") if method == "GET" else (status, {"Location": other.origin}, b"")
        assert "redirect" in owner.fails("register", "cart", *flags, env=ENV)
        assert not other.requests
    finally:
        other.close()


HOSTILE_HOOK = {"id": 7, "active": True, "events": ["push"], "config": {"url": "URL", "content_type": "json"}}


HOSTILE_ANSWERS = [
    (b"", "the answer of GitHub"),
    (b"<html>Sign in</html>", "the answer of GitHub"),
    (b'{"message": "ok"}', "no list of webhooks"),
    (b"null", "no list of webhooks"),
    (b"[" * 100000, "the answer of GitHub"),
    (None, "the answer is longer than"),
    ([{**HOSTILE_HOOK, "id": "../../other/cart/hooks/1"}], "no usable id"),
    ([{**HOSTILE_HOOK, "id": "7\x1b[2J"}], "no usable id"),
    ([{**HOSTILE_HOOK, "id": None}], "no usable id"),
    ([HOSTILE_HOOK] * 100, "lists over 2000 webhooks"),
    ([{"config": {"url": "https://other.example.com"}}] * 100, "lists over 2000 webhooks"),
]


@pytest.mark.parametrize("host", [Hostile], indirect=True)
def test_a_hostile_answer_is_an_error_in_words_and_changes_nothing(host, prepared, owner, namespace):  # noqa: F811
    _, flags, secret = prepared(host)
    for answer, words in HOSTILE_ANSWERS:
        if isinstance(answer, list):
            answer = json.dumps(answer).replace("URL", f"https://x.example.com/\\u001b]0;/hooks/{namespace}/cart/github").encode()
        host.reply = lambda method, path, answer=answer: (200, {}, answer)
        said = owner.fails("register", "cart", *flags, env=ENV, timeout=120)
        assert words in said, (answer, said)
        assert "\x1b" not in said and TOKEN not in said and secret not in said
    assert {method for method, *_ in host.requests} == {"GET"}


@pytest.mark.parametrize("host", [Hostile], indirect=True)
def test_nothing_that_a_host_says_steers_the_terminal(host, prepared, owner, namespace):  # noqa: F811
    _, flags, _ = prepared(host)
    hook = {**HOSTILE_HOOK, "branch_filter": "\x1b[31m", "config": {
        "url": f"https://x/\x1b]0;/apis/build.openshift.io/v1/namespaces/{namespace}/buildconfigs/cart/webhooks/hidden-canary/github", "content_type": "\x1b"}}
    host.reply = lambda method, path: (200, {}, json.dumps([hook]).encode())
    done = owner.run("register", "cart", *flags, "--check", env=ENV)
    assert done.returncode == 1 and "settings differ" in done.stderr_text
    host.reply = lambda method, path: (403, {}, json.dumps({"message": "\x1b[2J\u202eno\r\nerror: all is well"}).encode())
    refused = owner.run("register", "cart", *flags, env=ENV)
    assert refused.returncode == 1 and "403" in refused.stderr_text
    for said in (done.stdout_text, done.stderr_text, refused.stderr_text):
        assert "\x1b" not in said and "\u202e" not in said and "hidden-canary" not in said
    assert len(refused.stderr_text.splitlines()) == 1


@pytest.mark.parametrize("host", [DataCenter], indirect=True)
def test_a_repository_leads_to_no_other_path_of_the_api(host, prepared, owner, cluster, namespace):  # noqa: F811
    """The repository is chosen by whoever edits the BuildConfig, and the token belongs to somebody else."""
    _, flags, _ = prepared(host)
    for path, asked in (("scm/A%2fB/cart", "/projects/A%252fB/repos/cart/webhooks"), ("scm/A?x=/cart", "/projects/A%3Fx%3D/repos/cart/webhooks"),
                        ("scm/A/c#art", "/projects/A/repos/c%23art/webhooks")):
        host.requests.clear()
        cluster.patch(namespace, "cart", {"spec": {"source": {"git": {"uri": f"{host.origin}/{path}.git"}}}})
        assert "404" in owner.fails("register", "cart", *flags, env=ENV)
        assert [target.partition("?limit")[0] for _, target, *_ in host.requests] == [host.prefix + asked]
    for path in ("shop/../cart", "shop//cart", "shop/./cart", "shop/ca\x1brt", "shop/ca rt", "shop/caf\u00e9"):
        host.requests.clear()
        cluster.patch(namespace, "cart", {"spec": {"source": {"git": {"uri": f"{host.origin}/{path}.git"}}}})
        said = owner.fails("register", "cart", *flags, env=ENV)
        assert "expected the address of a repository" in said and "\x1b" not in said and not host.requests


@pytest.mark.parametrize("host", [GitHub], indirect=True)
def test_a_token_file_without_end_is_an_error(host, prepared, owner):  # noqa: F811
    _, flags, _ = prepared(host)
    assert "token is empty" in owner.fails("register", "cart", *flags, "--token-file", "/dev/zero")
    assert "cannot be read" in owner.fails("register", "cart", *flags, "--token-file", "/nonexistent")
