"""The parts of the command line that need no cluster: help, man pages, completion, usage errors."""

import os
import subprocess

import pytest

from harness import BUILDHOOK


def run(*args, program=BUILDHOOK, env=None, **more):
    return subprocess.run([program, *args], text=True, capture_output=True, timeout=20, env={**os.environ, **(env or {})}, check=False, **more)


def commands():
    lines = run("--help").stdout.split("commands:\n")[1].split("\n\n")[0].splitlines()
    return [line.split()[0] for line in lines]


def test_help_lists_each_command_and_each_has_help_and_a_man_page():
    assert "serve" in commands()
    for name in commands():
        done = run(name, "--help")
        assert (done.returncode, done.stderr) == (0, "") and done.stdout.startswith(f"usage: buildhook {name}"), done
        assert run("help", name).stdout == run(name, "-h").stdout == done.stdout
        assert all(len(line) <= 80 for line in done.stdout.splitlines()), done.stdout
        assert f'.TH "buildhook-{name}" 1' in run("__man", name).stdout
        assert run(name, "--version").stdout == run(name, "-v").stdout == run("version").stdout
    assert '.TH "buildhook" 1' in run("__man").stdout


@pytest.mark.parametrize("name,words", [("kubectl-buildhook", "kubectl buildhook"), ("oc-buildhook", "oc buildhook")])
def test_as_a_plug_in_it_names_itself_as_it_was_called(tmp_path, name, words):
    (tmp_path / name).symlink_to(BUILDHOOK)
    assert run("--help", program=tmp_path / name).stdout.startswith(f"usage: {words} COMMAND")
    wrong = run("completion", program=tmp_path / name)
    assert wrong.returncode == 2 and f"See '{words} completion --help'" in wrong.stderr


def test_usage_errors_are_status_2_and_say_where_help_is():
    for args, words in ((["completion"], "an argument is missing"), (["completion", "csh"], "expected bash, zsh or fish"),
                        (["add-trigger", "cart"], "an argument is missing: buildhook add-trigger NAME TYPE; TYPE is github, gitlab"),
                        (["add-trigger", "cart", "gitea"], 'found "gitea", expected github, gitlab, bitbucket or generic (Gitea, Forgejo and Gogs: github)'),
                        (["completion", "bash", "x"], 'unexpected argument "x"'), (["completion", "-x"], "unknown shorthand flag: 'x' in -x"),
                        (["completion", "--x=1"], "unknown flag: --x;"),
                        (["status", "--namspace=a"], "unknown flag: --namspace; did you mean --namespace?"),
                        (["status", "-n", "A/b"], '--namespace: "A/b" is not a name'), (["status", "../x"], 'NAME: "../x" is not a name')):
        done = run(*args)
        assert done.returncode == 2 and done.stdout == "" and done.stderr.startswith("error: "), done
        assert words in done.stderr and f"See 'buildhook {args[0]} --help' for usage." in done.stderr, done.stderr


def test_a_mistyped_command_is_told_what_was_probably_meant():
    for args, words in ((["stauts"], 'error: unknown command "stauts" for "buildhook"; did you mean "status"?'), (["help", "histroy"], 'did you mean "history"?'),
                        (["unin"], 'did you mean "uninstall"?'), (["nonsense"], "`buildhook help` lists the commands"),
                        (["-n", "shop", "status"], "flags stand behind the command")):
        done = run(*args)
        assert (done.returncode, done.stdout) == (2, "") and words in done.stderr and len(done.stderr.splitlines()) == 1, done


def complete(*words, program=BUILDHOOK, env=None):
    return [line.split("\t")[0] for line in run("__complete", *words, program=program, env=env).stdout.splitlines()]


def test_completion_knows_commands_flags_and_values():
    assert complete("ser") == ["serve"] and "completion" in complete("")
    assert complete("serve", "--log-f") == ["--log-format"]
    assert complete("serve", "--log-format", "") == ["text", "json"]
    assert complete("serve", "--log-format=j") == ["--log-format=json"]
    assert complete("serve", "--log-format", "=", "t") == ["text"]  # as bash parts it
    assert complete("completion", "z") == ["zsh"]
    assert complete("nonsense", "") == [] == complete("serve", "--nonsense", "")


def test_kubectl_is_answered_in_its_own_form(tmp_path):
    link = tmp_path / "kubectl_complete-buildhook"
    link.symlink_to(BUILDHOOK)
    done = run("comp", program=link)
    assert done.stdout.splitlines()[0].split("\t")[0] == "completion" and done.stdout.endswith("\n:0\n")


def test_the_script_completes_in_bash(tmp_path):
    (tmp_path / "buildhook").symlink_to(BUILDHOOK)
    script = ("source <(buildhook completion bash); COMP_WORDS=(buildhook serve --log-format ''); COMP_CWORD=3; _buildhook; "
              "printf '%s\\n' \"${COMPREPLY[@]}\"")
    done = subprocess.run(["bash", "-c", script], text=True, capture_output=True, check=False,
                          env={**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"})
    assert done.stdout.split() == ["text", "json"], done.stderr
