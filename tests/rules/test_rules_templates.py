"""Templates in labels and annotations give what the real Prometheus gives."""

import math
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from rollback_daemon.lab.toolset import Toolset
from rollback_daemon.rules import templates
from rollback_daemon.rules.templates import render, unknown

LABELS = {"instance": "web-1:8000", "share": "0.25", "odd": "50%"}
OPERANDS = ["$value", ".Value", "$labels.instance", ".Labels.instance", "$labels.absent", "$labels.share"]
FUNCTIONS = ["humanize", "humanize1024", "humanizePercentage", "humanizeDuration"]
FORMATS = ["%f", "%.0f", "%.f", "%.2f", "%0.0f", "%0.2f", "%g", "%.3g", "%e", "%.1e", "%v", "%s", "%d", "%.2f%%", "a %v b", "%%%v"]
TEMPLATES = [
    *(f"{{{{ {operand} }}}}" for operand in OPERANDS),
    *(f"{{{{{operand}|{function}}}}}" for operand in ("$value", "$labels.share") for function in FUNCTIONS),
    *(f"{{{{ {function} .Value }}}}" for function in FUNCTIONS),
    *(f"{{{{ $value | printf `{wanted}` }}}}" for wanted in FORMATS),
    *(f"{{{{ printf `{wanted}` $labels.instance }}}}" for wanted in FORMATS),
    "{{ $value | humanize | printf `<%s>` }}",
    '{{ printf "%s has %.1f" $labels.instance $value }}',
    "plain text with } and {",
    "{{ $labels.instance }}: {{ $value | humanizePercentage }} {{\n$value\n}}",
]
VALUES = [
    *(0.0, -0.0, 1.0, -1.0, 0.031, 0.1, 1 / 3, 2 / 3, 5.0, 12.5, 59.9, 60.0, 99.95, 999.95, 1000.0, 1023.99, 1024.0, 1234.5678),
    *(
        3599.4,
        3600.0,
        86399.0,
        86400.0,
        90061.7,
        123456.0,
        999999.0,
        1e6,
        1234567.0,
        1e9,
        1.5e12,
        123456789012.0,
        1e15,
        1e20,
        1e21,
        1.7e21,
        1e24,
        1e27,
        1e30,
    ),
    *(
        0.5,
        0.25,
        0.001,
        0.00025,
        1e-4,
        9.9999e-5,
        1e-5,
        1.23e-7,
        1e-12,
        1e-24,
        1e-27,
        5e-324,
        1.7976931348623157e308,
        -0.031,
        -1234.5,
        -90061.0,
        1e22 / 3,
    ),
    *(math.inf, -math.inf, math.nan),
]


def _rules_test(folder: Path, values: list[float]) -> Path:
    """Rules whose annotations are the templates, and a test of them that expects what `render` gives."""
    annotations = {f"a{number}": template for number, template in enumerate(TEMPLATES)}
    rules = [
        {"alert": f"Value{number}", "expr": _vector(value), "annotations": _comparable(annotations, value)} for number, value in enumerate(values)
    ]
    checks: list[Any] = [
        {
            "eval_time": "0s",
            "alertname": f"Value{number}",
            "exp_alerts": [{"exp_labels": LABELS, "exp_annotations": _rendered(_comparable(annotations, value), value)}],
        }
        for number, value in enumerate(values)
    ]
    (folder / "rules.yml").write_text(yaml.safe_dump({"groups": [{"name": "g", "rules": rules}]}))
    test = folder / "test.yml"
    test.write_text(
        yaml.safe_dump({"rule_files": ["rules.yml"], "evaluation_interval": "1m", "tests": [{"interval": "1m", "alert_rule_test": checks}]})
    )
    return test


def _rendered(annotations: dict[str, str], value: float) -> dict[str, str]:
    return {name: render(text, value, LABELS) for name, text in annotations.items()}


def _comparable(annotations: dict[str, str], value: float) -> dict[str, str]:
    """Without durations where Prometheus' own 64-bit counter overflows, with a result that depends on the machine."""
    overflows = math.isfinite(value) and abs(value) >= 2**63
    return {name: text for name, text in annotations.items() if not (overflows and "humanizeDuration" in text and "share" not in text)}


def _vector(value: float) -> str:
    expr = f"vector({'NaN' if math.isnan(value) else 'Inf' if value == math.inf else '-Inf' if value == -math.inf else repr(value)})"
    for name, text in LABELS.items():
        expr = f'label_replace({expr}, "{name}", "{text}", "", "")'
    return expr


@pytest.mark.every_prometheus
def test_templates_give_what_prometheus_gives(toolset: Toolset, tmp_path: Path) -> None:
    assert toolset.promtool is not None
    test = _rules_test(tmp_path, VALUES)
    done = subprocess.run([toolset.promtool, "test", "rules", test.name], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-6000:]


@pytest.mark.parametrize(
    "template",
    [
        "{{ $value | humanizeTimestamp }}",
        "{{ with query `up` }}{{ . }}{{ end }}",
        "{{ $labels }}",
        "{{ $labels.instance | toUpper }}",
        "{{ $value | printf `%5.1f` }}",
        "{{ printf `%f %f` $value }}",
        "{{ printf $value }}",
        "{{ $externalLabels.cluster }}",
        "{{- $value -}}",
        "{{ /* a comment */ }}",
        "{{ }}",
        "{{ $value | }}",
        "{{ $value $value }}",
        "{{ humanize }}",
        "{{ $value",
    ],
)
def test_an_unknown_template_is_named_and_left_as_it_is(template: str) -> None:
    named = unknown(f"before {template} after")
    assert named
    assert render(f"before {template} after", 1.0, LABELS) == f"before {template} after"


def test_known_templates_beside_unknown_ones_are_rendered() -> None:
    assert render("{{ $value }} {{ end }} {{ $value }}", 2.0, {}) == "2 {{ end }} 2"
    assert unknown("{{ $value }} {{ end }} {{ $value }}") == ["{{ end }}"]


def test_what_is_tried_against_prometheus_is_known() -> None:
    assert [text for text in TEMPLATES if unknown(text)] == []


def test_a_label_that_is_no_number_cannot_be_humanized_and_stays() -> None:
    assert render("{{ $labels.odd | humanize }}", 1.0, LABELS) == "{{ $labels.odd | humanize }}"


def test_without_a_value_its_templates_say_so_and_labels_are_still_shown() -> None:
    text = "{{ $value }}, {{ $value | humanizePercentage }}, {{ printf `%.2f` $value }} at {{ $labels.instance }}"
    assert render(text, None, LABELS) == f"{templates.NO_VALUE}, {templates.NO_VALUE}, {templates.NO_VALUE} at web-1:8000"


def test_a_label_that_looks_like_a_template_is_not_rendered_again() -> None:
    assert render("{{ $labels.instance }}", 1.0, {"instance": "{{ $value }}"}) == "{{ $value }}"
