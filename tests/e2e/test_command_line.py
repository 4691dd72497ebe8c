"""Mistakes at the start: exit status 2 and one line that says what to change."""

import os
import socket
import subprocess

import pytest
import yaml

from harness import BUILDHOOK, Buildhook, wait_for


def kubeconfig(server="https://127.0.0.1:1", user=None, cluster="c"):
    return yaml.safe_dump({
        "apiVersion": "v1", "kind": "Config", "current-context": "x",
        "clusters": [{"name": "c", "cluster": {"server": server}}],
        "users": [{"name": "u", "user": user or {"token": "t"}}],
        "contexts": [{"name": "x", "context": {"cluster": cluster, "user": "u"}}],
    })


@pytest.fixture
def run(tmp_path):
    """Runs buildhook to its end; by default with a valid kubeconfig, folder and ports."""

    def run_one(*args, config=kubeconfig(), env=None, **flags):
        (tmp_path / "kubeconfig").write_text(config)
        if args[:1] == ("serve",):
            flags = {"kubeconfig": tmp_path / "kubeconfig", "data-dir": tmp_path / "journal", "listen": "127.0.0.1:0",
                     "admin-listen": "127.0.0.1:0", **flags}
        command = [BUILDHOOK, *args[:1], *(f"--{k}={v}" for k, v in flags.items() if v is not None), *args[1:]]
        return subprocess.run(command, text=True, capture_output=True, timeout=20, env={**os.environ, **(env or {})}, check=False)

    return run_one


WRONG = {
    "an unknown command": (["nonsense"], {}, 'error: unknown command "nonsense" for "buildhook"'),
    "an unknown flag": (["serve", "--nonsense=1"], {}, "unknown flag: --nonsense"),
    "a flag with one dash": (["serve", "-x"], {}, "unknown shorthand flag: 'x' in -x"),
    "a flag without its value": (["serve", "--selector"], {}, "--selector needs a value"),
    "an argument": (["serve", "now"], {}, 'unexpected argument "now"'),
    "a backend that is none": (["serve"], {"backend": "docker"}, "expected one of auto, openshift, kubernetes"),
    "a log level that is none": (["serve"], {"log-level": "loud"}, "expected one of debug, info, warn, error"),
    "a size without a unit that is known": (["serve"], {"max-body": "25MB"}, "as 25MiB"),
    "a duration without a unit": (["serve"], {"start-timeout": "4"}, "as 4s"),
    "a negative number": (["serve"], {"builds-per-minute": "-1"}, "expected a number"),
    "no burst": (["serve"], {"build-burst": "0"}, "expected at least 1"),
    "a switch with a space": (["serve", "--provision", "false"], {}, "--provision=false"),
    "neither true nor false": (["serve"], {"provision": "yes"}, "expected true or false"),
    "an address without a port": (["serve"], {"listen": "localhost"}, "expected ADDR:PORT"),
    "an address of another machine": (["serve"], {"admin-listen": "192.0.2.1:80"}, "--admin-listen"),
    "a public URL without a host": (["serve"], {"public-url": "https://"}, "expected https://HOST"),
    "a public URL with a query": (["serve"], {"public-url": "https://h/?a"}, "expected https://HOST"),
    "a public URL of another protocol": (["serve"], {"public-url": "hooks.example.com"}, "expected https://HOST"),
    "a namespace that cannot be one": (["serve"], {"namespace": "Shop/cart"}, "cannot be a namespace's name"),
    "a selector that cannot be parsed": (["serve"], {"selector": "team in (shop"}, "expected labels as kubectl -l"),
    "a selector with a key that is none": (["serve"], {"selector": "a.b/c/d=1"}, "expected labels as kubectl -l"),
    "a selector with a key that is too long": (["serve"], {"selector": "a" * 64}, "expected labels as kubectl -l"),
    "a selector with a value that is none": (["serve"], {"selector": "a in (b, -c)"}, "expected labels as kubectl -l"),
    "a selector with two values": (["serve"], {"selector": "a=b=c"}, "expected labels as kubectl -l"),
    "a certificate without its key": (["serve"], {"tls-cert": "/x.crt"}, "--tls-key is missing"),
    "a certificate that is not there": (["serve"], {"tls-cert": "/x.crt", "tls-key": "/x.key"}, '"/x.crt": No such file'),
    "a kubeconfig that is not there": (["serve"], {"kubeconfig": "/x/config"}, "/x/config: no such file"),
    "a context that is not there": (["serve"], {"context": "y"}, 'context "y" does not exist; contexts are: x'),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_mistake_ends_it_with_status_2_and_one_line(run, case):
    args, flags, words = WRONG[case]
    done = run(*args, **flags)
    assert (done.returncode, done.stdout) == (2, ""), done
    (line,) = done.stderr.splitlines()
    assert line.startswith(("buildhook", "error: ")) and words in line, line


CONFIGS = {
    "no YAML": ("a: [", "line 2"),
    "nothing": ("", "empty"),
    "no context": ("{}", "no current-context"),
    "a cluster that is not there": (kubeconfig(cluster="d"), 'cluster "d" does not exist; clusters are: c'),
    "no https": (kubeconfig(server="ftp://127.0.0.1"), "https://"),
    "a port that is none": (kubeconfig(server="https://h:99999"), "expected https://HOST:PORT"),
    "a certificate alone": (kubeconfig(user={"client-certificate": "/x.crt"}), "client-certificate and client-key"),
    "a program": (kubeconfig(user={"exec": {"apiVersion": "client.authentication.k8s.io/v1", "command": "x"}}), "exec"),
}


@pytest.mark.parametrize("case", CONFIGS)
def test_a_kubeconfig_that_cannot_be_used_ends_it_with_status_2(run, case):
    config, words = CONFIGS[case]
    done = run("serve", config=config)
    assert done.returncode == 2, done
    (line,) = done.stderr.splitlines()
    assert words in line, line


def test_without_any_kubeconfig_it_says_where_it_looked(run, tmp_path):
    env = {"HOME": str(tmp_path), "KUBECONFIG": "", "KUBERNETES_SERVICE_HOST": ""}
    done = run("serve", kubeconfig=None, env=env)
    assert done.returncode == 2
    assert f"{tmp_path}/.kube/config" in done.stderr and "--kubeconfig" in done.stderr


def test_a_port_that_is_taken_is_named(run):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        done = run("serve", listen=f"127.0.0.1:{taken.getsockname()[1]}")
    assert done.returncode == 2 and "Address already in use" in done.stderr


def test_a_journal_that_cannot_be_used_ends_it_with_status_1(run, tmp_path):
    (tmp_path / "file").touch()
    done = run("serve", **{"data-dir": tmp_path / "file"})
    assert done.returncode == 1 and "Not a directory" in done.stderr
    (tmp_path / "open").mkdir()
    (tmp_path / "open").chmod(0o777)
    done = run("serve", **{"data-dir": tmp_path / "open"})
    assert done.returncode == 1 and str(tmp_path / "open") in done.stderr


def test_help_and_version_are_no_mistake(run):
    for args, words in ((["--help"], "serve"), (["help"], "serve"), (["serve", "--help"], "--public-url URL"),
                        (["serve", "-h"], "--public-url URL"), (["--version"], "buildhook "), (["-v"], "buildhook "),
                        (["version"], "buildhook "), (["serve", "-v"], "buildhook "), (["serve", "--version"], "buildhook ")):
        done = run(*args)
        assert (done.returncode, done.stderr) == (0, "") and words in done.stdout, args
    nothing = run()
    assert nothing.returncode == 2 and "usage: buildhook COMMAND" in nothing.stderr


def test_why_it_is_not_ready_is_told_by_readyz_and_in_the_log(cluster, tmp_path):
    """A ServiceAccount without a right, and a backend that the cluster does not have."""
    config = yaml.safe_load(cluster.service_account_kubeconfig(tmp_path / "kubeconfig").read_text())
    config["users"][0]["user"]["token"] = cluster.kubectl("create", "token", "default", "-n", "default").strip()
    (tmp_path / "kubeconfig").write_text(yaml.safe_dump(config))
    cases = {
        "forbidden": (["--backend=kubernetes"], "cannot list resource"),
        "backend": (["--backend=openshift"], "buildconfigs/instantiate, which --backend openshift needs"),
    }
    for name, (flags, words) in cases.items():
        buildhook = Buildhook(tmp_path / "kubeconfig", tmp_path / name, *flags, ready=False)
        body = wait_for(words, lambda: words in (b := buildhook.admin_get("/readyz").body.decode()) and b)
        assert body.startswith("[-]cache-sync failed: ") and "[+]journal ok\n" in body and body.endswith("not ready\n")
        assert buildhook.admin_get("/readyz?receive").status == 503
        assert buildhook.admin_get("/healthz").status == 200
        answer = buildhook.request("/hooks/shop/cart/github")
        assert answer.status == 503 and answer.headers["Retry-After"]
        assert 'verdict="unavailable",reason=""} 1\n' in buildhook.admin_get("/metrics").body.decode()
        assert words in buildhook.log()
        assert buildhook.stop() == 0
        buildhook.check_log()
