"""The journal on disks, in folders and beside neighbours that are not as they should be."""

import json
import os
import re
import shutil
import sqlite3
import subprocess
import time

import pytest

from harness import buildconfig, github_headers, github_payload, push, wait_for


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
    """To the last byte."""
    with open(folder / "filler", "wb", buffering=0) as filler:
        for size in (64 * 1024, 4096, 1):
            try:
                while filler.write(b"x" * size):
                    pass
            except OSError:
                pass


def refused_start(buildhook):
    """What it says when it is started anew and does not start."""
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
    wait_for("/readyz to fail", lambda: not buildhook.is_ready("?receive"))
    assert b"[-]journal failed" in buildhook.admin_get("/readyz?receive").body
    assert buildhook.process.poll() is None

    (small_disk / "filler").unlink()
    freed = time.monotonic()
    wait_for("2xx", lambda: not is_refused())
    # Within about a second, on a machine with nothing else to do.
    assert time.monotonic() - freed < 10
    wait_for("/readyz", buildhook.is_ready)
    taken = [a for a in answers if a.status in (200, 202)]
    assert len(taken) + sum(a.status == 503 for a in answers) == len(answers)
    ids = {a.headers["X-Buildhook-Delivery"] for a in taken}

    # Each that was taken is built, or overtaken by a later one of its ref.
    wait_for("all to be started", buildhook.is_settled, timeout=60)
    built = [b["metadata"]["annotations"]["buildhook.io/delivery-id"] for b in cluster.builds(namespace)]
    assert len(built) == len(set(built)) and set(built) <= ids
    assert len(built) + buildhook.metric('buildhook_journal_rows{state="superseded"}') == len(ids)


def test_it_starts_on_a_disk_that_is_full(cluster, start, small_disk, namespace, secret):
    buildhook = start(name="small")
    assert push(buildhook, namespace, "cart", secret).status in (200, 202)
    buildhook.kill()
    fill(small_disk)
    buildhook.start()
    wait_for("503", lambda: push(buildhook, namespace, "cart", secret).status == 503)
    (small_disk / "filler").unlink()
    wait_for("2xx", lambda: push(buildhook, namespace, "cart", secret).status in (200, 202))


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


@pytest.mark.parametrize("change, words", [(set_newer_version, "newer version of buildhook"), (replace_by_another, "another program's file")])
def test_a_journal_that_is_not_its_own_ends_it_and_stays(start, change, words):
    buildhook = start()
    assert buildhook.stop() == 0
    path = buildhook.dir / "journal" / "journal.db"
    change(path)
    before = path.read_bytes()
    message = refused_start(buildhook)
    assert words in message and "mv journal.db journal.db.bad" in message
    assert path.read_bytes() == before


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
    """Somebody overwrites its head, which a start has put out of the log."""
    buildhook = start()
    assert buildhook.stop() == 0
    buildhook.start()
    with open(buildhook.dir / "journal" / "journal.db", "r+b") as file:
        file.write(bytes(100))
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
    # From here on nobody reads: a pipe holds 64 KiB.
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
