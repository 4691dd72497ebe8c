"""Alerts and dashboard: Prometheus' own tool accepts them, they use existing metrics, and each alert says what to do."""

import json
import re
import subprocess

import yaml

from harness import ROOT, push

MONITORING = ROOT / "manifests" / "components" / "monitoring"
GROUPS = yaml.safe_load((MONITORING / "alerts.yaml").read_text())["spec"]
RULES = [rule for group in GROUPS["groups"] for rule in group["rules"]]
DASHBOARD = json.loads((MONITORING / "dashboard.json").read_text())
PANELS = [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]
EXPRESSIONS = [target["expr"] for panel in PANELS for target in panel["targets"]]
METRIC = r"\b(?:buildhook|controller_runtime|workqueue|rest_client|process)_[a-z_]+\b"
# Counters of events that have not happened have no series yet.
ONLY_WHEN_IT_HAPPENS = {"buildhook_builds_failed_total", "buildhook_watch_restarts_total"}


def promtool(*args, stdin=None):
    done = subprocess.run([ROOT / "hack" / "promtool", *args], input=stdin, text=True, capture_output=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def labels_of(text):
    """{name of a series: the labels that it can have}"""
    found = {}
    for name, labels in re.findall(r"^([a-z_]+)(?:\{(.*)\})? ", text, re.M):
        found.setdefault(name, set()).update(re.findall(r'(\w+)="', labels))
    return found


def test_promtool_accepts_the_rules(tmp_path):
    file = tmp_path / "alerts.yaml"
    file.write_text(yaml.safe_dump(GROUPS))
    assert f"{len(RULES)} rules found" in promtool("check", "rules", file)


def test_promtool_accepts_every_query_of_the_dashboard(tmp_path):
    queries = [re.sub(r"\$__rate_interval", "5m", e) for e in EXPRESSIONS]
    file = tmp_path / "queries.yaml"
    rules = [{"record": f"panel:{i}", "expr": query} for i, query in enumerate(queries)]
    file.write_text(yaml.safe_dump({"groups": [{"name": "dashboard", "rules": rules}]}))
    assert f"{len(queries)} rules found" in promtool("check", "rules", "--lint=none", file)


def test_promtool_accepts_the_metrics_and_they_are_what_alerts_and_dashboard_ask_for(buildhook, hook):
    namespace, name, secret = hook
    assert push(buildhook, namespace, name, secret).status == 200
    assert push(buildhook, namespace, name, "wrong").status == 401
    text = buildhook.admin_get("/metrics").body.decode()
    said = promtool("check", "metrics", stdin=text)
    assert not said, said
    there = labels_of(text)
    # The other group's are the build controller's: test_build_controller.py.
    for expression in EXPRESSIONS + [rule["expr"] for rule in GROUPS["groups"][0]["rules"]]:
        for series in re.findall(METRIC, expression):
            assert series in there or series in ONLY_WHEN_IT_HAPPENS, (series, expression)
        for series, matchers in re.findall(rf"({METRIC})\{{([^}}]*)\}}", expression):
            asked = set(re.findall(r"(\w+)[=!]", matchers)) - {"namespace"}
            assert asked <= there.get(series, asked), (series, matchers)
        for grouped in re.findall(r"by \(([^)]*)\)", expression):
            series = re.findall(METRIC, expression)[0]
            # Prometheus adds the namespace and the Pod.
            assert set(grouped.split(", ")) - {"namespace", "pod"} <= there[series], expression


def test_each_alert_has_its_section_and_each_section_its_alert():
    text = (ROOT / "docs" / "alerts.md").read_text()
    sections = dict(re.findall(r"^## (\w+)\n(.*?)(?=^## |\Z)", text, re.M | re.S))
    assert [rule["alert"] for rule in RULES] == list(sections)
    for rule in RULES:
        assert rule["annotations"]["runbook_url"] == "docs/alerts.md#" + rule["alert"].lower()
        assert len(sections[rule["alert"]].split()) > 25, rule["alert"]


def test_the_dashboard_can_be_read_by_people():
    assert DASHBOARD["title"] == "buildhook" and len(PANELS) > 10
    for panel in PANELS:
        assert panel["title"] and panel["description"] and all(t["legendFormat"] for t in panel["targets"]), panel["title"]
        assert 0 <= panel["gridPos"]["x"] and panel["gridPos"]["x"] + panel["gridPos"]["w"] <= 24
    assert len({panel["id"] for panel in DASHBOARD["panels"]}) == len(DASHBOARD["panels"])
