"""Stand-ins for Git hosts' webhook APIs, as strict as their published descriptions: a request with a wrong path, header, field or
type is refused, where the real host would refuse or silently ignore it."""

import hashlib
import hmac
import http.server
import json
import re
import threading
import urllib.parse
import uuid

TOKEN = "token-canary-5f1c"
GITHUB_EVENTS = {"push", "create", "delete", "pull_request", "issues"}


class Refused(Exception):
    def __init__(self, status, message):
        super().__init__(message)
        self.status, self.message = status, message


def check(body, fields, required=()):
    """FIELDS: name -> type, or a function that checks the value."""
    if not isinstance(body, dict):
        raise Refused(400, "Problems parsing JSON")
    for name, value in body.items():
        kind = fields.get(name)
        good = kind is not None and (isinstance(value, kind) if isinstance(kind, type) else kind(value))
        if not good:
            raise Refused(422, f"Validation Failed: {name}")
    for name in required:
        if name not in body:
            raise Refused(422, f"Validation Failed: {name} is missing")


class Host:
    """One kind of host; the hooks of repository shop/cart."""

    kind = ""
    prefix = ""
    page_size = 100
    update = "PATCH"

    def __init__(self):
        self.hooks = {}
        self.next_id = 1
        self.requests = []
        self.deliver = None  # called with (hook, event headers, body) for a ping
        self.tokens = {TOKEN}
        host = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def log_message(self, *args):
                pass

            def answer(self):
                length = int(self.headers.get("Content-Length") or 0)
                raw = self.rfile.read(length)
                try:
                    if raw and self.headers.get("Content-Type") != "application/json":
                        raise Refused(415, "Unsupported media type")
                    body = json.loads(raw) if raw else None
                    host.requests.append((self.command, self.path, dict(self.headers), body))
                    status, answer = host.route(self.command, self.path, self.headers, body)
                except Refused as refused:
                    status, answer = refused.status, host.failure(refused)
                data = b"" if answer is None else json.dumps(answer).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            do_GET = do_POST = do_PATCH = do_PUT = do_DELETE = answer

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.origin = f"http://127.0.0.1:{self.server.server_address[1]}"
        self.api = self.origin + self.prefix

    def close(self):
        self.server.shutdown()
        self.server.server_close()

    def failure(self, refused):
        return {"message": refused.message}

    def probe(self, path):
        return None

    def authorized(self, headers):
        return headers.get("Authorization") in {f"Bearer {t}" for t in self.tokens}

    def route(self, method, target, headers, body):
        path, _, query = target.partition("?")
        probed = self.probe(path)
        if probed is not None:
            assert "Authorization" not in headers and "PRIVATE-TOKEN" not in headers, "a probe must not carry the token"
            return 200, probed
        if not path.startswith(self.prefix + self.list_path):
            raise Refused(404, "Not Found")
        if not self.authorized(headers):
            raise Refused(401, "Bad credentials")
        rest = path[len(self.prefix + self.list_path):].strip("/")
        if not rest:
            if method == "GET":
                return 200, self.page(dict(urllib.parse.parse_qsl(query)))
            if method == "POST":
                return 201, self.shown(self.add(self.create(body)))
            raise Refused(405, "Method Not Allowed")
        identity, _, action = rest.partition("/")
        identity = urllib.parse.unquote(identity)
        if identity not in self.hooks:
            raise Refused(404, "Not Found")
        if action:
            if method != "POST" or "/" + action != self.test_path:
                raise Refused(404, "Not Found")
            self.ping(self.hooks[identity], dict(urllib.parse.parse_qsl(query)))
            return 204, None
        if method == self.update:
            self.hooks[identity] = {**self.change(self.hooks[identity], body), "id": self.hooks[identity]["id"]}
            return 200, self.shown(self.hooks[identity])
        if method == "DELETE":
            del self.hooks[identity]
            return 204, None
        raise Refused(405, "Method Not Allowed")

    test_path = "/nothing"

    def ping(self, hook, query):
        raise Refused(404, "Not Found")

    def new_id(self):
        self.next_id += 1
        return self.next_id

    def add(self, hook):
        hook["id"] = self.new_id()
        self.hooks[str(hook["id"])] = hook
        return hook

    def page(self, query):
        number, size = int(query.get("page", 1)), self.page_size
        return [self.shown(h) for h in list(self.hooks.values())[(number - 1) * size:number * size]]


class GitHub(Host):
    kind, prefix, list_path, test_path = "github", "/api/v3", "/repos/shop/cart/hooks", "/pings"

    def probe(self, path):
        return {"installed_version": "3.15.0"} if path == "/api/v3/meta" else None

    def route(self, method, target, headers, body):
        if "/meta" not in target and headers.get("Accept") != "application/vnd.github+json":
            raise Refused(415, "Must accept 'application/vnd.github+json'")
        if not headers.get("User-Agent"):
            raise Refused(403, "Request forbidden by administrative rules. Please make sure your request has a User-Agent header")
        return super().route(method, target, headers, body)

    config = {"url": str, "content_type": lambda v: v in ("json", "form"), "secret": str, "insecure_ssl": lambda v: v in ("0", "1", 0, 1)}
    top = {"active": bool, "events": lambda v: set(v) <= GITHUB_EVENTS, "config": dict}

    def create(self, body):
        check(body, {**self.top, "name": lambda v: v == "web"}, ("config",))
        check(body["config"], self.config, ("url",))
        return dict(body)

    def change(self, hook, body):
        check(body, {**self.top, "name": lambda v: v == "web"})
        check(body.get("config", {}), self.config)
        # A secret that a change leaves out is dropped.
        return {**hook, **body}

    def shown(self, hook):
        shown = json.loads(json.dumps(hook))
        if "secret" in shown["config"]:
            shown["config"]["secret"] = "********"
        return shown

    def ping(self, hook, query):
        body = json.dumps({"zen": "Design for failure.", "hook_id": hook["id"]}).encode()
        signature = hmac.new(hook["config"].get("secret", "").encode(), body, hashlib.sha256).hexdigest()
        self.deliver(hook["config"]["url"], {"Content-Type": "application/json", "X-GitHub-Event": "ping",
                                             "X-GitHub-Delivery": "ping-1", "X-Hub-Signature-256": f"sha256={signature}"}, body)


class Gitea(GitHub):
    kind, prefix, list_path, test_path = "gitea", "/api/v1", "/repos/shop/cart/hooks", "/tests"
    page_size = 50
    types = ("gitea",)
    config = {"url": str, "content_type": lambda v: v in ("json", "form"), "secret": str}

    def probe(self, path):
        return {"version": "1.26.0"} if path == "/api/v1/version" else None

    def authorized(self, headers):
        return headers.get("Authorization") in {f"token {t}" for t in self.tokens}

    def route(self, method, target, headers, body):
        return Host.route(self, method, target, headers, body)

    def create(self, body):
        check(body, {**self.top, "type": lambda v: v in self.types, "branch_filter": str}, ("type", "config"))
        check(body["config"], self.config, ("url", "content_type"))
        return dict(body)

    def change(self, hook, body):
        check(body, {**self.top, "type": lambda v: v in self.types, "branch_filter": str})
        check(body.get("config", {}), self.config)
        # Events, and the branch filter, are always replaced, and the secret never is.
        return {**hook, "branch_filter": "", **body,
                "config": {**hook["config"], **body.get("config", {}), "secret": hook["config"].get("secret", "")}}

    def shown(self, hook):
        shown = json.loads(json.dumps(hook))
        shown["config"].pop("secret", None)
        return shown

    def ping(self, hook, query):
        # The newest commit as a push of the ref that was asked for, the default branch without one.
        commit = "a965e31365c0b71705d1f09040e559072fbec2bd"
        body = json.dumps({"ref": query.get("ref", "refs/heads/main"), "before": commit, "after": commit,
                           "commits": [{"id": commit, "message": "commit 1"}], "total_commits": 1,
                           "repository": {"full_name": "shop/cart", "default_branch": "main"}}).encode()
        signature = hmac.new(hook["config"].get("secret", "").encode(), body, hashlib.sha256).hexdigest()
        self.deliver(hook["config"]["url"], {"Content-Type": "application/json", "X-Gitea-Event": "push", "X-GitHub-Event": "push",
                                             "X-Gitea-Delivery": f"test-{uuid.uuid4()}", "X-Gitea-Signature": signature}, body)


class Forgejo(Gitea):
    kind, types = "forgejo", ("forgejo", "gitea")

    def probe(self, path):
        return {"version": "12.0.0+gitea-1.22.0"} if path == "/api/forgejo/v1/version" else super().probe(path)


class Gogs(Gitea):
    kind, types, test_path = "gogs", ("gogs",), "/nothing"

    def probe(self, path):
        return None


class GitLab(Host):
    kind, prefix, list_path, update = "gitlab", "/api/v4", "/projects/shop%2Fcart/hooks", "PUT"
    events = ["issues_events", "confidential_issues_events", "merge_requests_events", "note_events", "confidential_note_events", "job_events",
              "pipeline_events", "wiki_page_events", "deployment_events", "releases_events", "push_events", "tag_push_events"]

    def probe(self, path):
        return [{"id": 1, "path_with_namespace": "a/b"}] if path == "/api/v4/projects" else None

    def authorized(self, headers):
        return headers.get("PRIVATE-TOKEN") in self.tokens

    def create(self, body):
        check(body, {**dict.fromkeys(self.events, bool), "url": str, "token": str, "enable_ssl_verification": bool,
                     "push_events_branch_filter": str}, ("url",))
        return {"push_events": True, "enable_ssl_verification": True, **body}

    def change(self, hook, body):
        return {**hook, **self.create(body)}

    def shown(self, hook):
        return {"alert_status": "executable", **{k: v for k, v in hook.items() if k != "token"}}


class Bitbucket(Host):
    kind, prefix, list_path, update = "bitbucket", "/2.0", "/repositories/shop/cart/hooks", "PUT"

    def failure(self, refused):
        return {"type": "error", "error": {"message": refused.message}}

    def new_id(self):
        self.next_id += 1
        return "{%08d-0000-4000-8000-000000000000}" % self.next_id

    def create(self, body):
        check(body, {"description": str, "url": str, "active": bool, "skip_cert_verification": bool, "secret": str,
                     "events": lambda v: set(v) <= {"repo:push", "repo:fork"}}, ("description", "url", "events"))
        return {"active": False, **body}

    def change(self, hook, body):
        return self.create(body)

    def shown(self, hook):
        shown = {k: v for k, v in hook.items() if k not in ("secret", "id")}
        return {**shown, "uuid": hook["id"], "secret_set": "secret" in hook, "type": "webhook_subscription"}

    def page(self, query):
        return {"values": super().page(query), "pagelen": 100, "page": 1}


class DataCenter(Host):
    kind, prefix, list_path, update = "bitbucket-dc", "/rest/api/1.0", "/projects/shop/repos/cart/webhooks", "PUT"

    def failure(self, refused):
        return {"errors": [{"context": None, "message": refused.message, "exceptionName": "x"}]}

    def probe(self, path):
        return {"version": "9.4.1", "displayName": "Bitbucket"} if path == "/rest/api/1.0/application-properties" else None

    def create(self, body):
        check(body, {"name": str, "url": str, "active": bool, "sslVerificationRequired": bool, "configuration": dict,
                     "events": lambda v: set(v) <= {"repo:refs_changed", "pr:opened"}}, ("name", "url", "events"))
        check(body.get("configuration", {}), {"secret": str})
        return dict(body)

    def change(self, hook, body):
        return self.create(body)

    def shown(self, hook):
        return {**hook, "configuration": {}}

    def page(self, query):
        return {"values": super().page({}), "size": len(self.hooks), "isLastPage": True, "start": 0, "limit": 1000}


KINDS = [GitHub, GitLab, Gitea, Forgejo, Gogs, Bitbucket, DataCenter]


def secret_of(hook):
    """The secret as the host keeps it."""
    return hook.get("token") or hook.get("secret") or (hook.get("config") or {}).get("secret") or (hook.get("configuration") or {}).get("secret")


def url_of(hook):
    return hook.get("url") or hook["config"]["url"]


def path_of(url):
    return re.sub(r"^https?://[^/]+", "", url)
