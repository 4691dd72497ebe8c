"""The journal on full, damaged and read-only disks, and beside neighbours that need much room."""

import contextlib
import hmac
import json
import os
import re
import shutil
import sqlite3
import subprocess
import time

import pytest

from harness import ROOT, buildconfig, github_headers, github_payload, push, wait_for
from pushers import INLINE


@pytest.fixture
def small_disk(tmp_path):
    """8 MiB, where the program started as "small" has its journal."""
    folder = tmp_path / "small" / "journal"
    folder.mkdir(parents=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m,mode=0700", "tmpfs", folder], check=True)
    yield folder
    subprocess.run(["umount", "-l", folder], check=True)


@pytest.fixture
def secret(cluster, namespace):
    """A BuildConfig "cart" whose secret is there already."""
    cluster.core.create_namespaced_secret(namespace, {"metadata": {"name": "cart-hook"}, "stringData": {"WebHookSecretKey": "open sesame"}})
    cluster.create(namespace, buildconfig("cart"))
    return "open sesame"


def fill(folder):
    """Fills the disk to the last byte."""
    with open(folder / "filler", "wb", buffering=0) as filler:
        for size in (64 * 1024, 4096, 1):
            try:
                while filler.write(b"x" * size):
                    pass
            except OSError:
                pass


def refused_start(buildhook):
    """The message of a second start, which fails."""
    done = subprocess.run(buildhook.command, text=True, capture_output=True, timeout=20, env=buildhook.env, check=False)
    assert done.returncode == 1, done.stderr
    assert len(done.stderr.splitlines()) == 1, done.stderr
    return done.stderr


def test_a_full_disk_is_answered_503_until_there_is_room(cluster, start, small_disk, namespace, secret):
    buildhook = start("--start-timeout=1s", name="small")
    answers = [push(buildhook, namespace, "cart", secret)]
    assert answers[0].status in (200, 202)
    fill(small_disk)

    def is_refused():
        answers.append(push(buildhook, namespace, "cart", secret))
        return answers[-1].status == 503

    wait_for("503", is_refused)
    assert int(answers[-1].headers["Retry-After"]) > 0
    wait_for("/readyz to fail", lambda: not buildhook.is_ready())
    assert b"[-]journal failed" in buildhook.admin_get("/readyz").body
    # Deliveries that need no room are answered as usual.
    assert buildhook.is_ready("?receive")
    assert push(buildhook, namespace, "cart", secret, event="ping").json["reason"] == "Ping"
    assert push(buildhook, namespace, "cart", secret, event="issues").status == 200
    assert buildhook.process.poll() is None

    (small_disk / "filler").unlink()
    freed = time.monotonic()
    wait_for("2xx", lambda: not is_refused())
    assert time.monotonic() - freed < 5
    wait_for("/readyz", buildhook.is_ready)
    taken = [a for a in answers if a.status in (200, 202)]
    assert len(taken) + sum(a.status == 503 for a in answers) == len(answers)
    ids = {a.headers["X-Buildhook-Delivery"] for a in taken}

    # Each accepted push is built, or superseded by a later one of its ref.
    wait_for("all to be started", buildhook.is_settled, timeout=60)
    built = [b["metadata"]["annotations"]["buildhook.io/delivery-id"] for b in cluster.builds(namespace)]
    assert len(built) == len(set(built)) and set(built) <= ids
    assert len(built) + buildhook.metric('buildhook_journal_rows{state="superseded"}') == len(ids)


def test_on_a_disk_that_is_full_it_starts_and_builds_what_was_acknowledged(cluster, start, small_disk, namespace, secret):
    buildhook = start("--build-burst", "1", "--builds-per-minute", "12", name="small")
    answers = [push(buildhook, namespace, "cart", secret) for _ in range(2)]
    assert [a.status for a in answers] == [200, 202]
    buildhook.kill()
    fill(small_disk)
    buildhook.start(wait_ready=False)
    wait_for("/readyz?receive", lambda: buildhook.is_ready("?receive"))
    wait_for("503", lambda: push(buildhook, namespace, "cart", secret).status == 503)
    ids = {a.headers["X-Buildhook-Delivery"] for a in answers}
    built = lambda: {b["metadata"]["annotations"]["buildhook.io/delivery-id"] for b in cluster.builds(namespace)}
    wait_for("the second build", lambda: ids <= built(), timeout=60)
    wait_for("all to have ended", buildhook.is_settled)
    assert not buildhook.is_ready()
    (small_disk / "filler").unlink()
    freed = time.monotonic()
    wait_for("2xx", lambda: push(buildhook, namespace, "cart", secret).status in (200, 202))
    assert time.monotonic() - freed < 5


def big_push(buildhook, namespace, number, secret="open sesame", kb=30):
    """30 KB of environment, and a ref of its own."""
    env = [{"name": f"V{i}", "value": "x" * 1000} for i in range(kb)]
    body = json.dumps({"git": {"ref": f"refs/heads/{number}"}, "env": env}).encode()
    headers = {"Content-Type": "application/json", "Authorization": f"Bearer {secret}"}
    return buildhook.request(f"/hooks/{namespace}/cart/generic", body, headers)


def flood(buildhook, namespace):
    """How many deliveries were accepted until one was refused."""
    n = 0
    while (answer := big_push(buildhook, namespace, n)).status != 503:
        assert answer.status in (200, 202), answer.body
        n += 1
    assert int(answer.headers["Retry-After"]) > 0
    return n


@pytest.mark.parametrize("size", [8, pytest.param(64, marks=pytest.mark.long("fills 64 MiB"))])
def test_sixteen_namespaces_that_flood_the_journal_leave_room_for_another_and_each_is_told(cluster, start, small_disk, size, figures):
    """A small disk that deliveries fill, and one that other programs fill."""
    subprocess.run(["mount", "-o", f"remount,size={size}m", small_disk], check=True)
    buildhook = start("--start-timeout=1s", "--build-burst", "1", "--builds-per-minute", "1", name="small")
    trigger = {"type": "Generic", "generic": {"allowEnv": True, "secret": "open sesame"}}
    *flooding, quiet = [cluster.namespace() for _ in range(17)]
    for name in (*flooding, quiet):
        cluster.create(name, buildconfig("cart", triggers=[trigger, *INLINE], annotations={"buildhook.io/refs": "*"}))
    wait_for("the hooks", lambda: all(big_push(buildhook, n, 0).status in (200, 202) for n in flooding[:1]))
    taken = {name: flood(buildhook, name) for name in flooding}
    share, full = "the namespace's share of the journal", "buildhook's journal is full"
    # On the small one the last of them met what the others had left.
    tells = lambda name, text: share in text or size == 8 and taken[name] <= 3 and full in text
    for name in flooding:
        wait_for(f"the hint of {name}, {taken[name]} taken", lambda name=name: tells(name, cluster.annotation(name, "cart", "hint")))
        wait_for("the Event", lambda name=name: any(tells(name, e.note) for e in cluster.events(name, "WebhookRefused")))
    # A push of a seventeenth namespace, which did not flood, is accepted and built.
    answers = [big_push(buildhook, quiet, i, kb=1 if size == 8 else 30) for i in range(3)]
    assert {a.status for a in answers} <= {200, 202}, [a.body for a in answers]
    wait_for("its build", lambda: cluster.builds(quiet))
    assert min(list(taken.values())[:12]) > 0
    # Other programs fill the rest; acknowledged changes still start.
    before = {name: len(cluster.builds(name)) for name in flooding}
    fill(small_disk)
    wait_for("503", lambda: big_push(buildhook, quiet, "more", kb=1).status == 503)
    wait_for("/readyz to fail", lambda: not buildhook.is_ready())
    assert buildhook.is_ready("?receive")
    assert push(buildhook, quiet, "cart", "inline", event="ping").json["reason"] == "Ping"
    assert push(buildhook, quiet, "cart", "inline", event="issues").json["reason"] == "EventIgnored"
    waiting = [name for name in flooding if taken[name] > before[name]]
    wait_for("a next build of each flood", lambda: all(len(cluster.builds(n)) > before[n] for n in waiting), timeout=100)
    assert buildhook.process.poll() is None
    assert not buildhook.is_ready()
    (small_disk / "filler").unlink()
    freed = time.monotonic()
    wait_for("2xx", lambda: big_push(buildhook, quiet, "after", kb=1).status in (200, 202))
    took = time.monotonic() - freed
    wait_for("/readyz", buildhook.is_ready)
    figures(f"{size} MiB: {list(taken.values())} changes taken of sixteen floods, and the seventeenth namespace's; "
            f"{len(waiting)} floods build on the full disk; 2xx {took:.1f} s after room was made")
    assert took < 5


def test_a_damaged_journal_ends_it_and_can_be_set_aside_as_it_says(start, namespace, secret):
    buildhook = start()
    assert push(buildhook, namespace, "cart", secret).status in (200, 202)
    assert buildhook.stop() == 0
    path = buildhook.dir / "journal" / "journal.db"
    damaged = bytearray(path.read_bytes())
    at = damaged.index(b"refs/heads/main")
    damaged[at] ^= 1
    path.write_bytes(damaged)
    message = refused_start(buildhook)
    assert str(path.parent) in message and "damaged" in message
    assert path.read_bytes() == damaged
    # What the line says after its last colon.
    subprocess.run(message.rsplit(": ", 1)[1], shell=True, check=True)
    buildhook.start()
    assert push(buildhook, namespace, "cart", secret).status in (200, 202)
    assert (buildhook.dir / "journal" / "journal.db.bad").read_bytes() == damaged


def set_newer_version(path):
    with sqlite3.connect(path) as db:
        db.execute("PRAGMA user_version=99")


def replace_by_another(path):
    path.unlink()
    with sqlite3.connect(path) as db:
        db.execute("CREATE TABLE shop (item)")


@pytest.mark.parametrize("change, words", [(set_newer_version, "written by a newer version (layout 99, not 2): see docs/upgrade.md"), (replace_by_another, "another program's file")])
def test_a_journal_that_is_not_its_own_ends_it_and_stays(start, change, words):
    buildhook = start()
    assert buildhook.stop() == 0
    path = buildhook.dir / "journal" / "journal.db"
    change(path)
    before = path.read_bytes()
    message = refused_start(buildhook)
    assert words in message and "mv journal.db journal.db.bad" in message
    assert path.read_bytes() == before


def test_the_journal_of_the_release_before_is_read_and_what_waits_in_it_ends(start, namespace, secret):
    """A journal of version 0.1.0: five changes wait, of BuildConfigs that do not exist here."""
    buildhook = start()
    assert buildhook.stop() == 0
    path = buildhook.dir / "journal" / "journal.db"
    shutil.copy(ROOT / "tests" / "data" / "journal" / "version-1.db", path)
    path.chmod(0o600)
    assert read_waiting(path) == (1, {"d4", "d5", "d8", "d9", "d10"})
    buildhook.start()
    wait_for("all to have ended", buildhook.is_settled, 60)
    assert push(buildhook, namespace, "cart", secret).status in (200, 202)
    assert buildhook.stop() == 0
    assert read_waiting(path) == (2, set())


def read_waiting(path):
    """The layout, and the deliveries of what has not ended."""
    with contextlib.closing(sqlite3.connect(path)) as db:
        (layout,) = db.execute("PRAGMA user_version").fetchone()
        return layout, {row[0] for row in db.execute("SELECT delivery_id FROM change WHERE state < 2")}


def test_a_second_process_on_the_journal_does_not_start_and_does_no_harm(start, namespace, secret):
    buildhook = start()
    message = refused_start(buildhook)
    assert "in use by another buildhook" in message and str(buildhook.process.pid) in message
    assert push(buildhook, namespace, "cart", secret).status in (200, 202)


def test_a_folder_that_cannot_be_written_ends_it(start, small_disk):
    buildhook = start(name="small")
    assert buildhook.stop() == 0
    subprocess.run(["mount", "-o", "remount,ro", small_disk], check=True)
    assert "Read-only file system" in refused_start(buildhook)
    subprocess.run(["mount", "-o", "remount,rw", small_disk], check=True)
    buildhook.start()


def test_a_folder_of_somebody_else_or_open_to_others_ends_it(start):
    buildhook = start()
    assert buildhook.stop() == 0
    folder = buildhook.dir / "journal"
    folder.chmod(0o777)
    assert "chmod 700" in refused_start(buildhook)
    folder.chmod(0o700)
    shutil.chown(folder, 12345)
    assert "chown" in refused_start(buildhook)
    shutil.chown(folder, os.geteuid())
    buildhook.start()


def test_a_journal_that_cannot_be_read_any_more_ends_it(start, namespace, secret):
    """The file is overwritten after a start has put the log into it."""
    buildhook = start()
    assert buildhook.stop() == 0
    buildhook.start()
    path = buildhook.dir / "journal" / "journal.db"
    with open(path, "r+b") as file:
        file.write(bytes(path.stat().st_size))
    wait_for("it to end", lambda: [push_quietly(buildhook, namespace, secret), buildhook.process.poll() is not None][1], timeout=60)
    assert buildhook.process.returncode == 1
    assert "the journal failed; nothing more is acknowledged" in buildhook.log()


def push_quietly(buildhook, namespace, secret):
    try:
        return push(buildhook, namespace, "cart", secret).status
    except OSError:
        return None


def test_a_delivery_without_an_id_is_one_of_its_own(cluster, start, namespace, secret):
    buildhook = start()
    body = json.dumps(github_payload()).encode()
    headers = github_headers(secret, body)
    del headers["X-GitHub-Delivery"]
    answers = [buildhook.request(f"/hooks/{namespace}/cart/github", body, headers) for _ in range(2)]
    assert [a.status in (200, 202) for a in answers] == [True, True]
    ids = {a.headers["X-Buildhook-Delivery"] for a in answers}
    assert len(ids) == 2 and all(re.fullmatch("[0-9a-f]{32}", i) for i in ids)
    wait_for("both builds", lambda: {b["metadata"]["annotations"]["buildhook.io/delivery-id"] for b in cluster.builds(namespace)} == ids)


def gitea_push(buildhook, namespace, secret, before, after, id):
    body = json.dumps({**github_payload(commit="c" * 40), "ref": "refs/heads/main", "before": before * 40, "after": after * 40}).encode()
    headers = {
        "Content-Type": "application/json", "X-Gitea-Event": "push", "X-Gitea-Delivery": id,
        "X-Gitea-Signature": hmac.new(secret.encode(), body, "sha256").hexdigest(),
    }
    return buildhook.request(f"/hooks/{namespace}/cart/github", body, headers)


def test_gitea_replays_under_another_id_what_was_built_already(cluster, start, namespace, secret):
    """The same bytes are the same delivery, unless the branch was forced back to where they begin."""
    buildhook = start("--builds-per-minute", "0")
    assert gitea_push(buildhook, namespace, secret, "1", "a", "first").json["kind"] == "Build"
    assert gitea_push(buildhook, namespace, secret, "a", "b", "second").json["kind"] == "Build"
    for id in ("replayed", "again"):
        answer = gitea_push(buildhook, namespace, secret, "1", "a", id)
        assert (answer.status, answer.json["reason"]) == (200, "Duplicate") and "cart-1" in answer.json["message"], answer.body
    assert gitea_push(buildhook, namespace, secret, "b", "a", "back").json["kind"] == "Build"
    assert gitea_push(buildhook, namespace, secret, "a", "b", "forth").json["kind"] == "Build"
    commits = [b["spec"]["revision"]["git"]["commit"][0] for b in cluster.builds(namespace)]
    assert commits == ["a", "b", "a", "b"]


def test_a_log_that_nobody_reads_holds_nothing_up_and_is_counted(start, namespace, secret):
    buildhook = start()
    assert buildhook.stop() == 0
    reader, writer = os.pipe()
    log = os.fdopen(reader, "rb", buffering=0)
    process = subprocess.Popen(buildhook.command, stderr=writer, stdin=subprocess.DEVNULL, env=buildhook.env)
    os.close(writer)
    buildhook.process = process
    listening = None
    while not listening:
        listening = re.search(rb'"receiver":"([0-9.:]+)","admin":"([0-9.:]+)"', log.read(4096))
    buildhook.address, buildhook.admin = (m.decode() for m in listening.groups())
    wait_for("/readyz", buildhook.is_ready)
    # From here on the pipe, which holds 64 KiB, is not read.
    took = []
    while buildhook.metric("buildhook_log_records_dropped_total") < 20:
        began = time.monotonic()
        assert push(buildhook, namespace, "cart", secret, event="issues").status == 200
        took.append(time.monotonic() - began)
        assert len(took) < 2000
    assert max(took[-20:]) < 5
    assert buildhook.metric("buildhook_journal_log_bytes") >= 0
    process.terminate()
    assert process.wait(25) == 0
    log.close()
