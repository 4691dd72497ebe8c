"""Measures what must hold in figures: every row beside its comparison, in the same run (docs/performance.md).

Server and peer run on one core in turns, the load comes from another. CPU time is that of the process (/proc/PID/stat), so that
other work on the machine disturbs it less than it disturbs the clock. Medians of several rounds; where the rounds differ too
much a row says so instead of whether it holds.
"""

import argparse
import contextlib
import hashlib
import hmac
import json
import os
import pathlib
import re
import socket
import sqlite3
import ssl
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import uuid

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "e2e"))

import harness  # noqa: E402
from harness import GROUP, RELEASED, VERSION, Buildhook, Cluster, buildconfig, free_port, wait_for  # noqa: E402

HERE = ROOT / "tests" / "bench"
PEERS = ROOT / "build" / "lto" / "tests" / "bench"
CPUS = sorted(os.sched_getaffinity(0))
SERVER_CPU, LOAD_CPU = CPUS[0], CPUS[-1]
SECRET = "It's a Secret to Everybody"
TICK_US = 1e6 / os.sysconf("SC_CLK_TCK")
# After this it has given back what only its start needed.
SETTLED_S = 15
# Rounds of one ratio that differ more than this from their median do not tell.
NOISE = 0.15
API = f"/apis/{GROUP}/{VERSION}"


def cpu_us(pid):
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) * TICK_US


def pss_kib(pid):
    text = pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text()
    return int(re.search(r"^Pss:\s+(\d+) kB", text, re.M)[1])


def anonymous_kib(pid):
    """What is its own, whoever else shares its libraries."""
    return int(re.search(r"^RssAnon:\s+(\d+)", pathlib.Path(f"/proc/{pid}/status").read_text(), re.M)[1])


def wakes(pid):
    """How often its threads have gone to sleep, and so been woken."""
    tasks = pathlib.Path(f"/proc/{pid}/task").iterdir()
    return sum(int(re.search(r"^voluntary_ctxt_switches:\s+(\d+)", (t / "status").read_text(), re.M)[1]) for t in tasks)


def waited_s(pid):
    """How long its threads could have run and did not, because others had the core (proc(5), schedstat)."""
    return sum(int((t / "schedstat").read_text().split()[1]) for t in pathlib.Path(f"/proc/{pid}/task").iterdir()) / 1e9


def exact_cpu_us(pid):
    """As cpu_us(), of the threads there are now, in nanoseconds instead of ticks."""
    return sum(int((t / "schedstat").read_text().split()[0]) for t in pathlib.Path(f"/proc/{pid}/task").iterdir()) / 1e3


def pin(pid, cpu):
    for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
        os.sched_setaffinity(int(task.name), {cpu})


class Report:
    """The rows, as they come."""

    def __init__(self):
        self.rows = []

    def add(self, what, bar, samples, unit, *, floor=False, starved=0, **details):
        """SAMPLES: one figure a round. It holds when the median is at most BAR (or at least, with FLOOR).

        STARVED: the share of the time in which others had the core, where samples are times or rates.
        """
        median = statistics.median(samples)
        spread = max(abs(s - median) for s in samples) / median if median else 0
        holds = None if bar is None else (median >= bar if floor else median <= bar)
        is_near = bar is not None and abs(median - bar) <= spread * median
        self.rows.append({
            "what": what, "bar": bar, "is_floor": floor, "median": median, "samples": samples, "unit": unit, "spread": spread,
            "holds": holds, "starved": starved,
            "is_noisy": spread > NOISE and is_near or starved > NOISE and not holds and bar is not None, **details,
        })
        print(self.line(self.rows[-1]), flush=True)

    @staticmethod
    def line(row):
        bar = "" if row["bar"] is None else f"{'>=' if row['is_floor'] else '<='} {row['bar']:g}"
        verdict = {None: "", True: "holds", False: "MISSED"}[row["holds"]]
        if row["is_noisy"]:
            verdict = "too noisy to tell"
        note = row.get("note", "")
        return f"{row['what']:<58} {row['median']:>10.2f} {row['unit']:<10} {bar:<10} +-{row['spread'] * 100:3.0f} %  {verdict:<18}{note}"


class Load:
    """wrk with signed pushes."""

    def __init__(self, directory):
        self.directory = directory

    def body(self, size, ref="refs/heads/other"):
        """GitHub's example of a push with so many commits that it has about SIZE bytes."""
        path = self.directory / f"push-{size}-{ref.rpartition('/')[2]}.json"
        if not path.exists():
            payload = harness.github_payload(ref=ref)
            if size < 6000:
                payload = {k: payload[k] for k in ("ref", "after", "before", "head_commit", "pusher")}
                payload["repository"] = {"clone_url": "https://git.example.com/shop/cart.git", "default_branch": "main"}
            commit = {**payload["head_commit"], "added": [], "removed": [], "modified": []}
            left = size - len(json.dumps(payload))
            while left > 1000:
                n = len(payload.setdefault("commits", []))
                files = [f"services/cart/internal/checkout/step-{n}-{i}.go" for i in range(4)]
                payload["commits"].append({**commit, "modified": files, "message": f"Mend step {n}\n\nIt \"rounded\" twice."})
                left -= len(json.dumps(payload["commits"][-1])) + 2
            path.write_text(json.dumps(payload, separators=(",", ":")))
        return path

    def run(self, address, paths, body, connections, seconds, scheme="http"):
        """Deliveries, and seconds they took."""
        environment = {
            **os.environ, "BENCH_BODY": str(body), "BENCH_PATHS": " ".join(paths), "BENCH_ID": uuid.uuid4().hex[:8] + "-1111-4111-8111-",
            "BENCH_SIGNATURE": hmac.new(SECRET.encode(), body.read_bytes(), hashlib.sha256).hexdigest(),
        }
        command = ["taskset", "-c", str(LOAD_CPU), "wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--timeout", "30s", "-s",
                   str(HERE / "push.lua"), f"{scheme}://{address}/"]
        out = subprocess.run(command, env=environment, text=True, capture_output=True, check=True).stdout
        n, took_us, wrong, broken, _ = map(int, re.search(r"^BENCH (.*)$", out, re.M)[1].split())
        assert n > 0 and wrong == 0 and broken == 0, out
        return n, took_us / 1e6


class Nginx:
    def __init__(self, directory, certificate=None):
        self.address = f"127.0.0.1:{free_port()}"
        conf = directory / f"nginx-{self.address.rpartition(':')[2]}.conf"
        text = (HERE / "nginx.conf").read_text().replace("@DIR@", str(directory)).replace("@PORT@", self.address.rpartition(":")[2])
        if certificate:
            text = text.replace(" backlog=1024;", f" backlog=1024 ssl;\n\t\tssl_certificate {certificate};\n\t\tssl_certificate_key {certificate};"
                                "\n\t\tssl_session_tickets off;\n\t\tssl_session_cache off;")
        conf.write_text(text)
        self.process = subprocess.Popen(["nginx", "-c", str(conf), "-e", "stderr"], stderr=subprocess.DEVNULL)
        workers = pathlib.Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        self.pid = int(wait_for("nginx's worker", lambda: workers.read_text().split())[0])
        pin(self.pid, SERVER_CPU)

    def stop(self):
        self.process.terminate()
        self.process.wait()


class Bench:
    def __init__(self, options, directory):
        self.options = options
        self.directory = directory
        self.load = Load(directory)
        self.report = Report()
        self.stack = contextlib.ExitStack()
        self.cluster = None
        self.n_started = 0

    def start_cluster(self):
        self.cluster = Cluster(self.directory / "cluster")
        self.stack.callback(self.cluster.down)
        self.kubeconfig = self.cluster.service_account_kubeconfig(self.directory / "buildhook.kubeconfig")

    @contextlib.contextmanager
    def buildhook(self, *flags, env=None):
        self.n_started += 1
        server = Buildhook(self.kubeconfig, self.directory / f"buildhook-{self.n_started}", "--builds-per-minute", "0", *flags,
                           program=RELEASED, env=env)
        pin(server.process.pid, SERVER_CPU)
        try:
            yield server
        finally:
            if server.process.poll() is None:
                server.kill()

    def make_hooks(self, namespace, names):
        """With the secret written into them, so that nothing is fetched."""
        triggers = [{"type": "GitHub", "github": {"secret": SECRET}}]
        for name in names:
            self.cluster.create(namespace, buildconfig(name, triggers))
        return [f"/hooks/{namespace}/{name}/github" for name in names]

    def wait_known(self, server, path):
        """The BuildConfig has come to it."""
        body = self.load.body(8000)
        headers = harness.github_headers(SECRET, body.read_bytes())
        wait_for("the hook", lambda: server.request(path, body.read_bytes(), headers).status == 200, 30)

    def hmac_us(self, body):
        out = subprocess.run(["taskset", "-c", str(SERVER_CPU), PEERS / "bench_hmac", body, "0.3"], text=True,
                             capture_output=True, check=True).stdout
        return float(out)

    def cpu_per_delivery(self, pid, address, paths, body, connections, scheme="http"):
        before = cpu_us(pid)
        # wrk makes each request anew, which takes longest of large ones.
        seconds = self.options.seconds * (5 if body.stat().st_size > 2e6 else 1)
        n, took = self.load.run(address, paths, body, connections, seconds, scheme)
        return (cpu_us(pid) - before) / n, n / took

    def compare(self, what, server, nginx, paths, kib, connections, *, bar=None, scheme="http", label="kib"):
        """Pushes of KIB KB beside nginx that reads them, and an HMAC, in turns."""
        body = self.load.body(kib * 1000)
        ours, read, hashed, rates = [], [], [], []
        for _ in range(self.options.rounds):
            read.append(self.cpu_per_delivery(nginx.pid, nginx.address, ["/"], body, connections, scheme)[0])
            hashed.append(self.hmac_us(body))
            us, rate = self.cpu_per_delivery(server.process.pid, server.address, paths, body, connections, scheme)
            ours.append(us)
            rates.append(rate)
        m = statistics.median
        self.report.add(
            what, bar, [o / (r + h) for o, r, h in zip(ours, read, hashed)], "x", connections=connections, ours_us=m(ours),
            nginx_us=m(read), hmac_us=m(hashed), per_s=m(rates), **{label: kib}, note=f"{m(ours):.1f} us; nginx {m(read):.1f} + HMAC {m(hashed):.1f}")

    def pushes(self):
        """A verified, decoded, decided push."""
        nginx = Nginx(self.directory)
        self.stack.callback(nginx.stop)
        namespace = self.cluster.namespace("bench")
        paths = self.make_hooks(namespace, ["cart"])
        cases = [(8, 1), (8, 16), (8, 256), (250, 4)] + ([(8, 64), (8, 800)] if self.options.scale else [])
        with self.buildhook() as server:
            self.wait_known(server, paths[0])
            for kib, connections in cases:
                self.compare(f"push of {kib} KB, {connections} connections: CPU / (nginx + HMAC)", server, nginx, paths, kib, connections,
                             bar=None if connections in (64, 800) else 1.5)

    def bodies(self):
        """From the smallest push to the largest that is taken, which are not kept in memory."""
        nginx = Nginx(self.directory)
        self.stack.callback(nginx.stop)
        paths = self.make_hooks(self.cluster.namespace("bench"), ["cart"])
        with self.buildhook() as server:
            self.wait_known(server, paths[0])
            for kib, connections in [(1, 16), (8, 16), (64, 16), (250, 4), (1000, 4), (5000, 2), (25000, 2)]:
                self.compare(f"body of {kib} KB, {connections} connections: CPU / (nginx + HMAC)", server, nginx, paths, kib, connections)

    def certificate(self, kind):
        """A file with a key and a certificate for it."""
        path = self.directory / f"{kind}.pem"
        options = ["-newkey", "rsa:2048"] if kind == "RSA" else ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
        subprocess.run(["openssl", "req", "-x509", "-nodes", "-days", "2", "-subj", "/CN=localhost", *options, "-keyout", path, "-out", f"{path}.crt"],
                       capture_output=True, check=True)
        path.write_text(path.read_text() + pathlib.Path(f"{path}.crt").read_text())
        return path

    @staticmethod
    def connect_us(pid, address, is_resumed=False):
        """CPU of the process for a connection with its handshake, or one that resumes the one before, that is closed after one request for "/"."""
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        host, _, port = address.rpartition(":")
        session = None
        n, end, before = 0, time.monotonic() + 2, exact_cpu_us(pid)
        while time.monotonic() < end:
            with socket.create_connection((host, int(port))) as plain, context.wrap_socket(plain, session=session) as secure:
                secure.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
                while secure.recv(65536):
                    pass
                assert n == 0 or secure.session_reused == is_resumed
                session = secure.session if is_resumed else None
            n += 1
        return (exact_cpu_us(pid) - before) / n

    def tls(self):
        """HTTPS: pushes over connections that stay open, and new connections."""
        paths = self.make_hooks(self.cluster.namespace("bench"), ["cart"])
        for kind in ("ECDSA", "RSA"):
            certificate = self.certificate(kind)
            nginx = Nginx(self.directory, certificate)
            self.stack.callback(nginx.stop)
            with self.buildhook("--tls-cert", str(certificate), "--tls-key", str(certificate)) as server:
                time.sleep(3)  # the hook is known, and its status written
                if kind == "ECDSA":
                    for kib, connections in ((8, 16), (250, 4)):
                        self.compare(f"TLS, {kib} KB, {connections} connections: CPU / (nginx + HMAC)", server, nginx, paths, kib, connections,
                                     scheme="https", label="tls_kib")
                ours, peer, resumed = [], [], []
                for _ in range(self.options.rounds):
                    peer.append(self.connect_us(nginx.pid, nginx.address))
                    ours.append(self.connect_us(server.process.pid, server.address))
                    resumed.append(self.connect_us(server.process.pid, server.address, is_resumed=True))
                m = statistics.median
                self.report.add(f"TLS, a new connection with {kind} and its request: CPU / nginx", None, [o / p for o, p in zip(ours, peer)], "x",
                                ours_us=m(ours), nginx_us=m(peer), note=f"{m(ours):.0f} us; nginx {m(peer):.0f} us")
                self.report.add(f"TLS, a resumed connection with {kind} and its request: CPU / a new one", None,
                                [r / o for r, o in zip(resumed, ours)], "x", ours_us=m(resumed), note=f"{m(resumed):.0f} us")

    def journaled(self):
        """The API server is away: accepted, journaled, answered; on this machine's disk, and where each commit takes 3 ms longer."""
        namespaces = [self.cluster.namespace("bench") for _ in range(4)]
        paths = [p for ns in namespaces for p in self.make_hooks(ns, [f"cart-{i}" for i in range(20)])]
        self.measure_journaled("", paths, {})
        self.measure_journaled("commits of 3 ms: ", paths, {"LD_PRELOAD": str(PEERS / "slow_disk.so")})

    def measure_journaled(self, disk, paths, env):
        body = self.load.body(8000, "refs/heads/main")
        rates, ratios, alone, starved = [], [], [], []
        with contextlib.ExitStack() as servers:
            running = [servers.enter_context(self.buildhook(env=env)) for _ in range(self.options.rounds)]
            for server in running:
                self.wait_known(server, paths[-1])
            self.cluster.stop_apiserver()
            try:
                for server in running:
                    time.sleep(0.5)
                    waited = waited_s(server.process.pid)
                    n, took = self.load.run(server.address, paths, body, 256, self.options.seconds)
                    starved.append((waited_s(server.process.pid) - waited) / took)
                    folder = self.directory / f"bare-{uuid.uuid4().hex[:8]}"
                    folder.mkdir(mode=0o700)
                    out = subprocess.run(["taskset", "-c", str(SERVER_CPU), PEERS / "bench_journal", folder, str(self.options.seconds)], text=True,
                                         capture_output=True, check=False, env={**os.environ, **env}).stdout
                    journal, bare = re.search(r"journal: (\d+) rows/s.*SQLite alone: (\d+)", out).groups()
                    rates.append(n / took)
                    ratios.append(n / took / int(bare))
                    alone.append(int(journal) / int(bare))
            finally:
                self.cluster.start_apiserver()
        self.report.add(f"{disk}journaled, API server away, 256 connections", 5000, rates, "/s", floor=True, starved=max(starved))
        self.report.add(f"{disk}the same / rows of SQLite alone in batches of 32", 0.5, ratios, "x", floor=True, starved=max(starved))
        self.report.add(f"{disk}journal alone, 256 senders / the same", None, alone, "x", floor=True)

    def curl_build_s(self, namespace, names, ours):
        """The three requests that each build needs, over one connection: the BuildConfig, its Builds, a Build like OURS. With pauses as ours."""
        kube = harness.yaml.safe_load(self.kubeconfig.read_text())
        server, token = kube["clusters"][0]["cluster"]["server"], kube["users"][0]["user"]["token"]
        ca = self.directory / "ca.crt"
        ca.write_bytes(harness.base64.b64decode(kube["clusters"][0]["cluster"]["certificate-authority-data"]))
        took = []
        for i, name in enumerate(names):
            lines = []
            time.sleep(0.3)
            metadata = {k: v for k, v in ours["metadata"].items() if k in ("annotations", "ownerReferences", "finalizers")}
            metadata |= {"name": name, "labels": {**ours["metadata"]["labels"], "bench": name, "buildhook.io/delivery": name}}
            build = {**ours, "metadata": metadata}
            url = f"{server}{API}/namespaces/{namespace}/builds"
            (self.directory / f"build-{i}.json").write_text(json.dumps(build))
            common = [f'cacert = "{ca}"', f'header = "Authorization: Bearer {token}"', 'output = "/dev/null"', "silent", "http1.1",
                      'write-out = "%{http_code} %{time_total} %{time_appconnect}\\n"']
            lines += [*common, f'url = "{server}{API}/namespaces/{namespace}/buildconfigs/cart"', "next"]
            lines += [*common, f'url = "{url}?labelSelector=bench%3D{name}"', "next"]
            lines += [*common, 'header = "Content-Type: application/json"', f'data-binary = "@{self.directory}/build-{i}.json"',
                      f'url = "{url}"', "next"]
            config = self.directory / "curl.conf"
            config.write_text("\n".join(lines[:-1]))
            config.chmod(0o600)
            out = subprocess.run(["curl", "--config", config], text=True, capture_output=True, check=True).stdout.split("\n")
            times = [line.split() for line in out if line]
            assert [t[0] for t in times] == ["200", "200", "201"], times
            took.append(sum(float(t[1]) - float(t[2]) for t in times))
        return took

    def commit_s(self, n):
        """What SQLite takes to make a row of the journal's size durable, for each of N."""
        path = self.directory / f"sync-{uuid.uuid4().hex[:8]}.db"
        database = sqlite3.connect(path, isolation_level=None)
        database.execute("PRAGMA journal_mode=WAL")
        database.execute("PRAGMA synchronous=FULL")
        database.execute("CREATE TABLE rows(seq INTEGER PRIMARY KEY, text TEXT)")
        took = []
        for _ in range(n):
            time.sleep(0.02)
            began = time.monotonic()
            database.execute("INSERT INTO rows(text) VALUES(?)", ("x" * 600,))
            took.append(time.monotonic() - began)
        database.close()
        return took

    def builds(self):
        """From a delivery to the answer with its build, and many at once."""
        namespace = self.cluster.namespace("bench")
        paths = self.make_hooks(namespace, ["cart"])
        body = self.load.body(8000, "refs/heads/main").read_bytes()
        ratios, ours_ms, peer_ms, sync_ms = [], [], [], []

        def deliver(server):
            return server.request(paths[0], body, harness.github_headers(SECRET, body))

        with self.buildhook() as server:
            self.wait_known(server, paths[0])
            for _ in range(self.options.rounds):
                ours, build = [], None
                for _ in range(20):
                    time.sleep(0.3)  # what follows the last build is over
                    began = time.monotonic()
                    answer = deliver(server)
                    ours.append(time.monotonic() - began)
                    assert answer.status == 200 and answer.json["kind"] == "Build", answer.body
                    build = answer.json
                peer = self.curl_build_s(namespace, [f"peer-{uuid.uuid4().hex[:12]}" for _ in range(20)], build)
                ours_ms.append(statistics.median(ours) * 1000)
                peer_ms.append(statistics.median(peer) * 1000)
                sync_ms.append(statistics.median(self.commit_s(20)) * 1000)
                ratios.append(ours_ms[-1] / (peer_ms[-1] + sync_ms[-1]))
            m = statistics.median
            self.report.add("build started: delivery to answer / (curl + a commit)", 1.3, ratios, "x", ours_ms=m(ours_ms), curl_ms=m(peer_ms),
                            sync_ms=m(sync_ms), note=f"{m(ours_ms):.1f} ms; curl {m(peer_ms):.1f} + SQLite {m(sync_ms):.1f} ms")
            self.report.add("the same / curl alone", None, [o / p for o, p in zip(ours_ms, peer_ms)], "x")

        paths[:] = self.make_hooks(namespace, ["busy"])
        statuses, lock = [], threading.Lock()
        with self.buildhook() as server:
            self.wait_known(server, paths[0])

            def send():
                while True:
                    with lock:
                        if len(statuses) >= 500:
                            return
                        statuses.append(0)
                    status = deliver(server).status
                    with lock:
                        statuses.append(status)
                        statuses.remove(0)

            threads = [threading.Thread(target=send) for _ in range(16)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            wait_for("all builds", server.is_settled, 600, 0.5)
        numbers = [b for b in self.cluster.builds(namespace) if b["metadata"]["name"].startswith("busy-")]
        self.report.add("16 clients, 500 pushes to one BuildConfig: answered 200/202", 500,
                        [sum(s in (200, 202) for s in statuses)], "", floor=True)
        self.report.add("the same: builds, neither lost nor doubled", 500, [len(numbers)], "", floor=True,
                        note=f"{len({b['metadata']['labels'].get('buildhook.io/delivery') for b in numbers})} deliveries")

    def idle(self):
        """Memory and wake-ups where nothing happens."""
        namespace = self.cluster.namespace("bench")
        self.make_hooks(namespace, ["quiet"])
        with self.buildhook() as server:
            time.sleep(SETTLED_S)
            pss = pss_kib(server.process.pid) / 1024
            before, cpu = wakes(server.process.pid), cpu_us(server.process.pid)
            time.sleep(20)
            rate = (wakes(server.process.pid) - before) / 20
            cpu = (cpu_us(server.process.pid) - cpu) / 20
            resident = int(re.search(r"^VmRSS:\s+(\d+)", pathlib.Path(f"/proc/{server.process.pid}/status").read_text(), re.M)[1]) / 1024
            anonymous = anonymous_kib(server.process.pid)
        self.report.add("idle: proportional set size", 10, [pss], "MiB", note=f"{anonymous / 1024:.1f} MiB of it anonymous")
        self.report.add("idle: resident set size, the most where no library is shared", None, [resident], "MiB")
        self.report.add("idle: wake-ups", 2, [rate], "/s", note=f"{cpu:.0f} us of CPU a second")

    def populate(self, namespace, first, end, annotations=None):
        """Over several connections, as the API server takes longer than this program. ANNOTATIONS: of "app-000000"."""
        kube = harness.yaml.safe_load(self.cluster.kubeconfig.read_text())
        directory = self.directory
        tls = harness.ssl.create_default_context(cafile=self.cluster.dir / "pki" / "ca.crt")
        user, files = kube["users"][0]["user"], []
        for key in ("client-certificate", "client-key"):
            if key in user:
                files.append(user[key])
                continue
            path = directory / key
            path.write_bytes(harness.base64.b64decode(user[key + "-data"]))
            files.append(str(path))
        tls.load_cert_chain(*files)
        host = kube["clusters"][0]["cluster"]["server"].removeprefix("https://")
        numbers = iter(range(first, end))
        lock = threading.Lock()
        triggers = [{"type": "GitHub", "github": {"secret": SECRET}}]

        def create():
            connection = harness.http.client.HTTPSConnection(host, context=tls, timeout=60)
            while True:
                with lock:
                    n = next(numbers, None)
                if n is None:
                    return
                name = f"app-{n:06}"
                theirs = {k: v.replace("app-000000", name) for k, v in (annotations or {}).items()}
                body = json.dumps(buildconfig(name, triggers, annotations=theirs))
                connection.request("POST", f"{API}/namespaces/{namespace}/buildconfigs", body, {"Content-Type": "application/json"})
                answer = connection.getresponse()
                text = answer.read()
                assert answer.status == 201, text

        threads = [threading.Thread(target=create) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def curl_list(self):
        """Seconds and CPU of a list in pages of 500."""
        kube = harness.yaml.safe_load(self.kubeconfig.read_text())
        server, token = kube["clusters"][0]["cluster"]["server"], kube["users"][0]["user"]["token"]
        ca = self.directory / "ca.crt"
        ca.write_bytes(harness.base64.b64decode(kube["clusters"][0]["cluster"]["certificate-authority-data"]))
        config = self.directory / "list.conf"
        page = self.directory / "page.json"
        took, more = 0.0, ""
        while True:
            config.write_text(f'cacert = "{ca}"\nheader = "Authorization: Bearer {token}"\noutput = "{page}"\nsilent\n'
                              f'write-out = "%{{time_total}} %{{time_appconnect}}"\nurl = "{server}{API}/buildconfigs?limit=500{more}"\n')
            config.chmod(0o600)
            out = subprocess.run(["curl", "--config", config], text=True, capture_output=True, check=True).stdout.split()
            took += float(out[0]) - float(out[1])
            token_of_next = json.loads(page.read_bytes())["metadata"].get("continue")
            if not token_of_next:
                return took
            more = "&continue=" + token_of_next

    def many(self):
        """Thousands of BuildConfigs: start, memory, CPU per delivery."""
        namespace = self.cluster.namespace("bench")
        body, n = self.load.body(8000), 1
        path = f"/hooks/{namespace}/app-000000/github"
        self.populate(namespace, 0, 1)
        with self.buildhook() as server:
            self.wait_known(server, path)
            time.sleep(SETTLED_S)
            base = anonymous_kib(server.process.pid)
        # Five statuses are written a second: the others are made with theirs.
        annotations = self.cluster.get(namespace, "app-000000")["metadata"]["annotations"]
        assert any(k.endswith("-state") for k in annotations), annotations
        flat = []
        for size in [s for s in (10, 100, 1000, 10000, 100000) if s < self.options.buildconfigs] + [self.options.buildconfigs]:
            self.populate(namespace, n, size, annotations)
            n = size
            if size < 1000 and not self.options.scale:
                continue
            last = f"/hooks/{namespace}/app-{size - 1:06}/github"
            # Until every status is written, so that the next process finds nothing to do.
            with self.buildhook() as server:
                self.wait_known(server, last)
                self.wait_quiet(server)
            ratios, took = [], []
            for _ in range(self.options.rounds):
                peer = self.curl_list()
                began = time.monotonic()
                with self.buildhook():
                    took.append(time.monotonic() - began)
                ratios.append(took[-1] / peer)
            with self.buildhook() as server:
                self.wait_known(server, last)
                time.sleep(SETTLED_S)
                self.wait_quiet(server)
                each = (anonymous_kib(server.process.pid) - base) / (size - 1)
                us = [self.cpu_per_delivery(server.process.pid, server.address, [path, last], body, 16)[0] for _ in range(self.options.rounds)]
            is_bar = size >= 10000
            self.report.add(f"{size} BuildConfigs: start to ready / curl's list", 1.5 if is_bar else None, ratios, "x", n=size,
                            note=f"{statistics.median(took):.2f} s")
            self.report.add(f"{size} BuildConfigs: memory of each", 1 if is_bar else None, [each], "KiB", n=size)
            self.report.add(f"{size} BuildConfigs: CPU of a delivery", None, us, "us", n=size)
            flat.append(statistics.median(us))
        if len(flat) > 1:
            self.report.add("growth: CPU of a delivery, most / fewest BuildConfigs", 1.1, [flat[-1] / flat[0]], "x")

    @staticmethod
    def wait_quiet(server):
        def is_quiet():
            before = cpu_us(server.process.pid)
            time.sleep(3)
            return cpu_us(server.process.pid) - before <= 10 * TICK_US

        wait_for("quiet", is_quiet, 1800, 0)

    def run(self):
        rows = {"pushes": self.pushes, "bodies": self.bodies, "tls": self.tls, "journaled": self.journaled, "builds": self.builds, "idle": self.idle, "many": self.many}
        with self.stack:
            self.start_cluster()
            for name, measure in rows.items():
                if name in self.options.rows or not self.options.rows:
                    measure()
        return self.report.rows


def main():
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("rows", nargs="*", help="pushes, bodies, tls, journaled, builds, idle, many (default: all)")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=2, help="of load in each round")
    parser.add_argument("--buildconfigs", type=int, default=10000, help="of the row \"many\"")
    parser.add_argument("--scale", action="store_true", help="more connections and BuildConfigs, for the plots")
    parser.add_argument("--json", type=pathlib.Path, default=ROOT / "build" / "bench.json")
    options = parser.parse_args()
    assert len(CPUS) > 1, "two cores are needed: one for the server, one for the load"
    busy = os.getloadavg()[0]
    with tempfile.TemporaryDirectory(prefix="buildhook-bench-") as directory:
        rows = Bench(options, pathlib.Path(directory)).run()
    if busy > len(CPUS) / 2:
        print(f"other programs were busy (load {busy:.1f} at the start): rates and times are not this machine's")
    options.json.write_text(json.dumps({"load": busy, "cpus": len(CPUS), "rows": rows}, indent=1) + "\n")
    print(f"{options.json.resolve()} has the figures")
    sys.exit(any(row["holds"] is False and not row["is_noisy"] for row in rows))


if __name__ == "__main__":
    main()
