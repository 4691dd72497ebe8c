"""A real Gitea on loopback, as hack/gitea/build makes it: its API, its pages' buttons, and Git over HTTP."""

import base64
import contextlib
import http.cookiejar
import json
import os
import pathlib
import secrets
import sqlite3
import subprocess
import urllib.error
import urllib.parse
import urllib.request

from harness import ROOT, free_port, wait_for

PROGRAM = ROOT / "build" / "gitea" / "gitea"
CONFIG = """\
RUN_MODE = prod
RUN_USER = {user}
I_AM_BEING_UNSAFE_RUNNING_AS_ROOT = true
WORK_PATH = {folder}
[server]
HTTP_ADDR = {address}
HTTP_PORT = {port}
ROOT_URL = {origin}/
STATIC_ROOT_PATH = {static}
DISABLE_SSH = true
OFFLINE_MODE = true
[database]
DB_TYPE = sqlite3
[security]
INSTALL_LOCK = true
SECRET_KEY = {secret}
[service]
DISABLE_REGISTRATION = true
[repository]
DEFAULT_BRANCH = main
[indexer]
ISSUE_INDEXER_TYPE = db
[actions]
ENABLED = false
[packages]
ENABLED = false
[cron]
ENABLED = false
[webhook]
ALLOWED_HOST_LIST = loopback
[log]
MODE = console
LEVEL = Info
"""


class NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *args):
        return None


class Gitea:
    """With an administrator; `origin` is its address."""

    user = "ada"

    def __init__(self, folder, address="127.0.0.1"):
        subprocess.run([ROOT / "hack" / "gitea" / "build"], check=True)
        self.folder = pathlib.Path(folder)
        self.password = secrets.token_hex(8)
        self.log_path = self.folder / "log"
        self.config = self.folder / "app.ini"
        self.env = {**os.environ, "GITEA_WORK_DIR": str(self.folder), "HOME": str(self.folder)}
        self.repositories = 0
        self.process = None
        assert any(self._start(address) for _ in range(5)), self.log()[-4000:]
        self.admin("user", "create", "--admin", "--username", self.user, "--password", self.password, "--email", "ada@example.com",
                   "--must-change-password=false")

    def _start(self, address):
        """False if another program has taken the port meanwhile."""
        port = free_port(address)
        self.origin = f"http://{address}:{port}"
        self.config.write_text(CONFIG.format(
            user=subprocess.run(["id", "-un"], capture_output=True, text=True, check=True).stdout.strip(), folder=self.folder, address=address,
            port=port, origin=self.origin, static=(ROOT / "build" / "gitea" / "static").resolve(), secret=secrets.token_hex(16)))
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen([PROGRAM, "web", "--config", self.config], env=self.env, stdout=log, stderr=log, stdin=subprocess.DEVNULL)
        wait_for("Gitea", lambda: self.process.poll() is not None or self._answers(), 120, 0.2)
        return self.process.poll() is None

    def _answers(self):
        try:
            return urllib.request.urlopen(f"{self.origin}/api/healthz", timeout=5).status == 200
        except OSError:
            return False

    def stop(self):
        self.process.terminate()
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def log(self):
        return self.log_path.read_text(errors="replace")

    def admin(self, *args):
        """A command of its own: `gitea admin ...`."""
        done = subprocess.run([PROGRAM, "admin", *args, "--config", self.config], env=self.env, capture_output=True, text=True, check=False)
        assert done.returncode == 0, (args, done.stdout, done.stderr)
        return done.stdout

    def call(self, method, path, body=None, user=None, password=None):
        """The API with a password; the answer's JSON, or None without a body."""
        proof = base64.b64encode(f"{user or self.user}:{password or self.password}".encode()).decode()
        request = urllib.request.Request(
            f"{self.origin}/api/v1{path}", None if body is None else json.dumps(body).encode(), method=method,
            headers={"Content-Type": "application/json", "Authorization": f"Basic {proof}"})
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                text = answer.read()
        except urllib.error.HTTPError as error:
            raise AssertionError(f"{method} {path}: {error.code} {error.read()[:500]}") from None
        return json.loads(text) if text else None

    def token(self, *scopes, user=None, password=None):
        """Makes an access token of a user, with scopes like "write:repository"."""
        made = self.call("POST", f"/users/{user or self.user}/tokens", {"name": secrets.token_hex(4), "scopes": list(scopes)}, user, password)
        return made["sha1"]

    def add_user(self, name):
        """Its password."""
        password = secrets.token_hex(8)
        self.call("POST", "/admin/users", {"username": name, "email": f"{name}@example.com", "password": password, "must_change_password": False})
        return password

    def repository(self, name=None, private=False):
        """Makes a repository with a commit on main; returns its name, "ada/r1"."""
        self.repositories += 1
        made = self.call("POST", "/user/repos", {"name": name or f"r{self.repositories}", "auto_init": True, "default_branch": "main", "private": private})
        return made["full_name"]

    def hooks(self, repository):
        return self.call("GET", f"/repos/{repository}/hooks")

    def git(self, folder, *args):
        address = ["-c", "user.name=Ada", "-c", "user.email=ada@example.com"]
        done = subprocess.run(["git", *address, *args], cwd=folder, env=self.env, capture_output=True, text=True, check=False)
        assert done.returncode == 0, (args, done.stderr)
        return done.stdout.strip()

    def clone(self, repository, folder):
        """A clone in FOLDER that may push."""
        self.git("/", "clone", "-q", f"{self.origin.replace('//', f'//{self.user}:{self.password}@', 1)}/{repository}.git", str(folder))
        return folder

    def push(self, clone, message="change", ref="main"):
        """A commit and `git push`; the commit's id."""
        self.git(clone, "commit", "-q", "--allow-empty", "-m", message)
        self.git(clone, "push", "-q", "origin", f"HEAD:{ref}")
        return self.git(clone, "rev-parse", "HEAD")

    def browser(self):
        """Signs in at the pages, for actions without an API: browser(path, fields) posts a form."""
        jar = http.cookiejar.CookieJar()
        opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(jar), NoRedirect)

        def post(path, **fields):
            request = urllib.request.Request(self.origin + path, urllib.parse.urlencode(fields).encode(), headers={"Origin": self.origin})
            try:
                return opener.open(request, timeout=30).status
            except urllib.error.HTTPError as error:
                assert error.code in (302, 303), (path, error.code, error.read()[:500])
                return error.code

        post("/user/login", user_name=self.user, password=self.password)
        return post

    def deliveries(self, hook_id):
        """The deliveries of a hook, newest first: (uuid, status and body of the answer). Only its pages show them, so they are read from its database."""
        with contextlib.closing(sqlite3.connect(f"file:{self.folder / 'data' / 'gitea.db'}?mode=ro", uri=True)) as database:
            rows = database.execute("SELECT uuid, response_content FROM hook_task WHERE hook_id = ? AND response_content <> '' ORDER BY id DESC", (hook_id,))
            answers = [(uuid, json.loads(response)) for uuid, response in rows]
        return [(uuid, answer.get("status"), answer.get("body")) for uuid, answer in answers]
