"""One good file of each kind of evidence, as what writes it writes it, made at 03:00 of the day where the tests take place."""

import json
from typing import Any

from rollback_daemon.evidence.scoring import gate_report, release_gate, shadow_diff
from rollback_daemon.evidence.scoring.first_runs import first_runs
from tests.evidence.raw import BEGIN, at, both, raw, text

JUNIT = f"""<?xml version="1.0" encoding="utf-8"?>
<testsuites name="pytest tests">
<testsuite name="pytest" errors="2" failures="2" skipped="2" tests="9" time="0.041" timestamp="{at(0)}">
<testcase classname="" name="t.test_b"><error message="collection failure">No module named 'nothing_here'</error></testcase>
<testcase classname="t.test_a" name="test_ok" time="0.000" />
<testcase classname="t.test_a" name="test_p[a/b]" time="0.000"><properties><property name="p" value="v"/></properties></testcase>
<testcase classname="t.test_a" name="test_p[c::d]"><failure message="no">x = 'c::d'</failure></testcase>
<testcase classname="t.test_a" name="test_skip"><skipped type="pytest.skip" message="later" /></testcase>
<testcase classname="t.test_a" name="test_xf"><skipped type="pytest.xfail" message="known" /></testcase>
<testcase classname="t.test_a" name="test_td"><failure message="assert 0" /></testcase>
<testcase classname="t.test_a" name="test_td"><error message="failed on teardown" /></testcase>
<testcase classname="t.test_a.TestC" name="test_m" time="0.000" />
</testsuite></testsuites>
"""
PYTEST: dict[str, Any] = {
    "created": BEGIN.timestamp(),
    "exitcode": 1,
    "summary": {"passed": 3, "failed": 1, "error": 1, "skipped": 1, "xfailed": 1, "total": 7},
    "collectors": [{"nodeid": "", "outcome": "passed"}, {"nodeid": "t/test_b.py", "outcome": "failed", "longrepr": "no module"}],
    "tests": [
        {"nodeid": "t/test_a.py::test_ok", "outcome": "passed", "call": {"outcome": "passed"}},
        {"nodeid": "t/test_a.py::test_p[a/b]", "outcome": "passed"},
        {"nodeid": "t/test_a.py::test_p[c::d]", "outcome": "failed"},
        {"nodeid": "t/test_a.py::test_skip", "outcome": "skipped"},
        {"nodeid": "t/test_a.py::test_xf", "outcome": "xfailed"},
        {"nodeid": "t/test_a.py::test_td", "outcome": "error"},
        {"nodeid": "t/test_a.py::TestC::test_m", "outcome": "passed"},
    ],
}


def phases(nodeid: str, *ended: tuple[str, str], **more: Any) -> list[dict[str, Any]]:
    """The lines of a test in a reportlog."""
    return [{"nodeid": nodeid, "when": when, "outcome": how, "start": BEGIN.timestamp(), "$report_type": "TestReport", **more} for when, how in ended]


PASSED = (("setup", "passed"), ("call", "passed"), ("teardown", "passed"))
REPORTLOG = [
    {"pytest_version": "9.2.0", "$report_type": "SessionStart"},
    {"nodeid": "t/test_b.py", "outcome": "failed", "longrepr": "no module", "$report_type": "CollectReport"},
    {"nodeid": "t/test_a.py", "outcome": "passed", "$report_type": "CollectReport"},
    *phases("t/test_a.py::test_ok", *PASSED),
    *phases("t/test_a.py::test_p[a/b]", *PASSED),
    *phases("t/test_a.py::test_p[c::d]", ("setup", "passed"), ("call", "failed"), ("teardown", "passed")),
    *phases("t/test_a.py::test_skip", ("setup", "skipped"), ("teardown", "passed")),
    *phases("t/test_a.py::test_xf", ("setup", "passed"), ("call", "skipped"), ("teardown", "passed"), wasxfail="known"),
    *phases("t/test_a.py::test_td", ("setup", "passed"), ("call", "failed"), ("teardown", "failed")),
    *phases("t/test_a.py::TestC::test_m", *PASSED),
    {"of": "another plugin", "$report_type": "Unheard"},
    {"exitstatus": 1, "$report_type": "SessionFinish"},
]
BOARDS = ("square8", "square19", "hexagonal")
_FIVE = {"totalGames": 5, "completedGames": 5, "maxTurnsGames": 0, "invariantViolations": 0}
SOAK: dict[str, Any] = {
    "timestamp": at(0),
    "config": {"profile": "ci-short", "boardTypes": list(BOARDS), "gamesPerBoard": 5, "maxTurns": 300, "mode": "backend"},
    "overall": {"totalGames": 15, "completedGames": 15, "maxTurnsGames": 0, "invariantViolations": 0},
    "buckets": [{"boardType": board, "hostMode": "backend", **_FIVE} for board in BOARDS],
    "violations": [],
}
PARITY: dict[str, Any] = {
    "profile": "parity-healthcheck",
    "suites": ["contract_vectors_v2", "plateau_snapshots"],
    "total_cases": 19,
    "mismatches_total": 1,
    "mismatches_by_suite": {"contract_vectors_v2": 1},
    "mismatches_by_type": {"status": 1},
    "samples": [{"suite": "contract_vectors_v2", "case_id": "chain_capture.depth2", "mismatch_type": "status", "details": "phase differs"}],
    "timestamp": at(0),
}
OBSERVED = [{"timestamp": at(60 * 8 + 59), "event": "chat", "latency_ms": 120.5}, {"timestamp": at(60 * 8 + 59.5), "event": "chat", "latency_ms": 80}]


def lines(values: list[dict[str, Any]]) -> str:
    """JSON lines, each ended."""
    return "".join(json.dumps(one) + "\n" for one in values)


def gated() -> dict[str, Any]:
    """What a gate on good results says."""
    runs = first_runs([raw(*both(critical=True))])
    return gate_report.document("canary", runs, release_gate.judge(runs, release_gate.Order(10, 5000)))


def compared() -> dict[str, Any]:
    """What a comparison of good results says."""
    return shadow_diff.document(shadow_diff.compare(raw(*both(), engine="v2"), raw(*both(), engine="v3_shadow", name="v3.json")))


GOOD: dict[str, tuple[bytes, dict[str, Any]]] = {
    "jsonl": (lines(OBSERVED).encode(), {"field": "/latency_ms"}),
    "junit": (JUNIT.encode(), {}),
    "number": (b"98.7%\n", {}),
    "parity": (json.dumps(PARITY, indent=2).encode(), {}),
    "pytest_json": (json.dumps(PYTEST, indent=2).encode(), {}),
    "release_gate": (json.dumps(gated(), indent=2).encode(), {}),
    "results": (text(*both()), {}),
    "shadow_diff": (json.dumps(compared(), indent=2).encode(), {}),
    "soak": (json.dumps(SOAK, indent=2).encode(), {}),
}
"""Of each kind: a file, and the settings to read it with."""
