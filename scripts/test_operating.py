"""The dashboard and the alert rules name what is emitted: each metric, label and value is in OBSERVABILITY.md."""

import json
import re
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
OPERATING = ROOT / "docs/operating"

# What Prometheus and Grafana add by themselves.
ADDED = {"job", "instance", "le"}


def table(heading):
    """The rows of the table under a heading, without its first two."""
    text = (ROOT / "cache-engine/OBSERVABILITY.md").read_text(encoding="utf-8")
    section = text.split(f"\n{heading}\n", 1)[1].split("\n#", 1)[0]
    rows = [line for line in section.splitlines() if line.startswith("|")][2:]
    return [[cell.strip() for cell in row.strip("|").split("|")] for row in rows]


def quoted(cell):
    return set(re.findall(r"`([^`]*)`", re.sub(r"\([^)]*\)", "", cell)))


METRICS = {name.strip("`"): (kind, quoted(labels)) for name, kind, _, labels, _ in table("## Metrics")}
VALUES = {}
for metric, label, values in table("### Labels"):
    above = next((known for (_, other), known in VALUES.items() if other == label.strip("`")), None)
    VALUES[metric.strip("`"), label.strip("`")] = above if values == "as above" else quoted(values)


def faults(expression):
    """What an expression of PromQL names that is not there."""
    if expression.count("(") != expression.count(")"):
        yield f"parentheses that do not match: {expression}"
    named = set()
    for name, selector in re.findall(r"\b(http_cache_\w+)(?:\{([^}]*)\})?", expression):
        base = re.sub(r"_(bucket|count|sum)$", "", name)
        metric = name if name in METRICS else base
        kind, labels = METRICS.get(metric, (None, set()))
        if kind is None:
            yield f"no such metric: {name}"
        elif (kind == "histogram") != (name != metric):
            yield f"{name} is a {kind}"
        named |= labels
        for label, _, value in re.findall(r'(\w+)\s*(=~|!=|!~|=)\s*"([^"]*)"', selector or ""):
            if label in ADDED:
                continue
            if label not in labels:
                yield f"{name} has no label {label}"
            for each in value.split("|") if label != "backend" else []:
                if each not in VALUES.get((metric, label), set()):
                    yield f"{name} has no {label}={each}"
    for labels in re.findall(r"\bby \(([^)]*)\)", expression):
        for label in re.split(r",\s*", labels):
            if label not in named | ADDED:
                yield f"grouped by {label}, which none of the metrics has: {expression}"


def dashboard():
    read = json.loads((OPERATING / "grafana-dashboard.json").read_text(encoding="utf-8"))
    for panel in read["panels"]:
        for target in panel.get("targets", []):
            yield target["expr"]
    for variable in read["templating"]["list"]:
        if isinstance(variable["query"], dict):
            yield variable["query"]["query"]


def alerts():
    text = (OPERATING / "prometheus-alerts.yml").read_text(encoding="utf-8")
    for rule in text.split("- alert:")[1:]:
        yield re.search(r"expr:(.*?)\n +(?:for|labels):", rule, re.DOTALL).group(1)


class Operating(unittest.TestCase):
    def test_the_tables_are_read(self):
        self.assertGreater(len(METRICS), 10)
        self.assertIn("gave-up", VALUES["http_cache_leader_wait_duration_seconds", "result"])

    def test_each_expression_names_what_is_emitted(self):
        for expressions in (list(dashboard()), list(alerts())):
            self.assertGreater(len(expressions), 5)
            for expression in expressions:
                self.assertEqual(list(faults(expression)), [])

    def test_each_metric_is_on_the_dashboard(self):
        expressions = " ".join(dashboard())
        self.assertEqual([name for name in METRICS if name not in expressions], [])

    def test_no_two_panels_overlap(self):
        read = json.loads((OPERATING / "grafana-dashboard.json").read_text(encoding="utf-8"))
        cells = set()
        for panel in read["panels"]:
            place = panel["gridPos"]
            mine = {
                (x, y)
                for x in range(place["x"], place["x"] + place["w"])
                for y in range(place["y"], place["y"] + place["h"])
            }
            self.assertFalse(cells & mine, panel["title"])
            cells |= mine

    def test_what_is_not_there_is_found(self):
        for expression in (
            "rate(http_cache_hits_total[5m])",
            "http_cache_requests_total_count",
            "http_cache_leader_wait_duration_seconds",
            'http_cache_requests_total{outcome="hits"}',
            'http_cache_requests_total{backend="memory"}',
            "sum by (backend) (http_cache_requests_total)",
            "sum (http_cache_requests_total",
        ):
            self.assertTrue(list(faults(expression)), expression)


if __name__ == "__main__":
    unittest.main()
