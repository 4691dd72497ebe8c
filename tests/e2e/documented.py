"""The commands that README and docs tell people to type, and which of them each test really runs: every process that a test starts is looked at."""

import os
import re

from harness import ROOT

PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")), ROOT / "hack" / "release" / "README.md"]
# Messages begin with the program's name, too.
PROGRAMS = r"(?!buildhook (?:does|has|made) )(?:kubectl buildhook|oc buildhook|buildhook|build/buildhook|\./buildhook-linux-amd64|make|kubectl|oc|hack/\S+) "
CALLED = re.compile(r"(build/)?(buildhook|(kubectl-|oc-)?buildhook(-asan|-linux-\w+)?)")
SHELLS = ("sh", "bash")


def is_whole(line):
    line = line.partition(" #")[0].rstrip()
    return line.count("'") % 2 == 0 and not line.endswith(("|", "\\"))


def typed(page):
    """What code blocks and code spans have that begins with a program of this repository, make or kubectl; a command may have several lines."""
    text = page.read_text()
    fenced = {line for block in re.findall(r"^```\w*\n(.*?)^```", text, re.M | re.S) for line in block.splitlines()}
    found, begun = [], ""
    for line in text.splitlines():
        if not line.startswith("    ") and line not in fenced:
            begun = ""
        elif begun:
            found[-1] = begun = f"{begun}\n{line.strip()}"
        elif re.match(PROGRAMS, line.strip()):
            begun = line.strip()
            found.append(begun)
        if is_whole(begun):
            begun = ""
    return found + [c for c in re.findall(r"`([^`\n]+)`", text) if re.match(PROGRAMS, c)]


def commands():
    """{command: page}, each once, in the order of the pages. Names of programs and commands alone are none."""
    found = {}
    for page in PAGES:
        for line in typed(page):
            line = re.sub(r"\s*[|&]?$", "", line.partition(" #")[0])
            if "..." not in line and len(line.split()) > 1 and line not in ("kubectl buildhook", "oc buildhook", "kubectl describe", "oc describe"):
                found.setdefault(line, page.name)
    return found


def words_of(command):
    """Without quotes, and with one name for each program: kubectl for oc, buildhook for each way to call it."""
    words = re.sub(r"""["']|<<END""", "", command).split()
    words[0] = os.path.basename(words[0])
    if words[0] in ("devcluster", "devcluster-node", "oc"):
        words = ["kubectl", *words[1:]]
        words = words[1:] if words[1:2] == ["kubectl"] else words
    if words[:2] == ["kubectl", "buildhook"]:
        words = words[1:]
    return ["buildhook", *words[1:]] if CALLED.fullmatch(words[0]) else words


def pattern_of(word):
    """What a test may put in the place of a word of the page: another namespace, host or folder, and something for POD and NAME."""
    if re.fullmatch(r"[A-Z]+(-build)?", word):
        return r"\S+"
    word = re.sub(r"registry\\\.example\\\.com(/tools)?", r"[^/\\s]+", re.escape(word))
    word = re.sub(r"\bshop\b", r"[\\w.-]+", word)
    return rf"(\S*/)?{word}" if re.search(r"/|\.yaml", word) else word


# A page's commands, as what is recognised: the first words are those of the program.
PATTERNS = {line: (words_of(line)[0], re.compile(r"( \S+)*? ".join(pattern_of(w) for w in words_of(line.partition("\n")[0])) + r"( \S+)*"))
            for line in commands()}


# The other commands: the test that runs each. What a test really runs is noted, and it fails where that lacks a command for which it is named here.
RUN_BY = {
    r"(kubectl|oc) buildhook ui|buildhook ui": "test_ui.py::test_the_page_shows_webhooks_and_what_happened",
    r"(kubectl|oc) buildhook register cart": "test_cli_register.py::test_it_makes_mends_checks_and_removes_the_webhook",
    r"(kubectl|oc) buildhook register --remove": "test_cli_register.py::test_it_makes_mends_checks_and_removes_the_webhook",
    r"(kubectl|oc) buildhook redeliver": "test_redelivery.py::test_what_no_replica_has_is_said_after_a_minute",
    r"(kubectl|oc) buildhook uninstall": "test_cli_builds.py::test_uninstall_takes_away_what_buildhook_wrote_and_nothing_else",
    r"buildhook deliveries": "test_cli_builds.py::test_deliveries_reads_the_journal_beside_a_serve",
    r"buildhook serve": "test_status.py::test_the_first_refused_request_shows_at_once_and_the_next_within_a_minute",
    r"buildhook build-controller": "test_build_controller.py::test_where_openshift_runs_builds_it_ends_and_says_why",
    r"kubectl apply .*-k manifests/overlays/kubernetes": "test_manifests.py::test_everything_is_accepted_strictly[overlays/kubernetes]",
    r"oc apply .*-k manifests/overlays/openshift": "test_manifests.py::test_everything_is_accepted_strictly[overlays/openshift]",
    r"(kubectl|oc) apply .*-k manifests/overlays/mine": "test_node_components.py::test_without_volumes_in_one_namespace_with_tls_behind_an_ingress",
    r"kubectl describe certificate .*": "test_node_components.py::test_without_volumes_in_one_namespace_with_tls_behind_an_ingress",
    r"kubectl apply .*-f manifests/install.yaml": "test_manifests.py::test_the_generated_install_file_is_what_the_overlay_says",
    r"kubectl (scale statefulset buildhook .*|delete namespace buildhook|delete clusterrole.*|delete crd .*)": "test_uninstall.py::test_what_stays_after_the_end_needs_no_buildhook",
    r"kubectl (delete -k manifests/.*|scale statefulset/buildhook .*|delete pvc .*)": "test_uninstall.py::test_what_stays_after_the_end_needs_no_buildhook",
    r"kubectl (logs|get pods|describe pod) -n buildhook\b.*|kubectl port-forward -n buildhook pod/.*": "test_node.py::test_the_commands_of_the_pages_about_pods",
    r"kubectl describe pod NAME-build|oc logs bc/cart": "test_node_builds.py::test_the_documentation_leads_to_a_deployment",
    r"kubectl (create secret docker-registry|patch serviceaccount|create deployment|wait|logs -n shop|create namespace|apply -n shop) .*": "test_node_builds.py::test_the_documentation_leads_to_a_deployment",
    r"kubectl rollout status deployment/cart .*": "test_node_builds.py::test_the_documentation_leads_to_a_deployment",
    r"kubectl rollout status deployment/buildhook-build-controller .*": "test_node_builds.py::test_a_push_becomes_an_image_that_says_the_commit",
    r"kubectl (rollout (status|undo) statefulset/buildhook .*|apply .*-f install.yaml)": "test_node_upgrade.py::test_the_documentation_upgrades_and_rolls_back",
    r"\./buildhook-linux-amd64 .*|(kubectl|oc) apply .*-f example\.yaml|oc rollout status .*|kubectl port-forward .* service/.*": "test_release.py::test_a_stranger_has_a_build_within_five_commands_on_kubernetes",
    r"oc apply .*-f install-openshift\.yaml": "test_release.py::test_a_stranger_has_a_build_within_five_commands_on_openshift",
    r"make release\b.*": "test_release.py::test_the_folder_is_complete_and_its_checksums_hold",
    r"make cli": "test_cli_binary.py::test_the_program_for_workstations_needs_the_c_library_alone",
    r"make run BUILD=1": "test_node_builds.py::test_make_run_shows_a_push_that_becomes_an_image",
    r"make install": "test_docs_run.py::test_make_install_brings_program_plug_ins_man_pages_and_completion",
    r"make help": "test_docs_run.py::test_make_help_lists_what_there_is",
    r"make (image|image builder-image)": "test_docs_run.py::test_make_makes_both_images",
    r"make (lint|bench)": "test_docs_run.py::test_make_checks_and_measures",
    r"oc login": "test_cli_hooks.py::test_a_kubeconfig_as_oc_login_writes_it_is_taken",
    r"oc (new-app|set triggers|start-build|adm policy .*)": "test_openshift.py::test_what_oc_asks_the_cluster_for_goes_with_buildhook",
}

# What the scripts of the tests themselves run: the script, and its words.
RUN_BY_SCRIPT = {
    "make run": ("hack/test-bare", "make run && "),
    "make down": ("hack/test-bare", "&& make down"),
    "make test": (".ci/run", "\nmake test\n"),
    "make instructions": ("hack/test", "tests/bench/instructions"),
}


class Ran:
    """What the tests of the file that runs now have run so far, fixtures included."""

    def __init__(self):
        self.path, self.lines = None, set()

    def enter(self, path):
        if path != self.path:
            self.path, self.lines = path, set()

    def note(self, command):
        """A command line, or words of it."""
        words = words_of(command) if command.strip() else []
        self.lines |= {line for line, (program, pattern) in PATTERNS.items() if words and words[0] == program and pattern.fullmatch(" ".join(words))}

    def lacks(self, test):
        """Commands that RUN_BY names TEST for, and that it has not run."""
        named = [pattern for pattern, runner in RUN_BY.items() if runner == test]
        return sorted(line for line in set(PATTERNS) - self.lines if any(re.fullmatch(p, line, re.S) for p in named))

    def on_event(self, event, args):
        """For sys.addaudithook()."""
        if event != "subprocess.Popen" or not isinstance(args[1], (list, tuple)):
            return
        words = [os.fsdecode(word) if not isinstance(word, str) else word for word in args[1]]
        if os.path.basename(words[0]) in SHELLS:
            for line in "\n".join(words[1:]).splitlines():
                self.note(re.sub(r"\s*(<<END|[|&])?$", "", line.strip()))
        else:
            self.note(" ".join(words))


ran = Ran()
