"""The runbook of the assistant by its own commands: from the first shadow diff to `hold_100pct_monitor` and v3 alone, and failing at 25 %."""

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from rollback_daemon.lab.servers import AlertmanagerServer, PrometheusServer
from tests.acceptance.genesis import Genesis
from tests.acceptance.phased_stand import Assistant
from tests.acceptance.runbook_stand import (
    ACTIVE,
    CANARY,
    CLIMB,
    DIFF,
    DIFF_IN,
    ENGINE,
    GATE,
    GATE_100,
    GATE_100_IN,
    GATE_IN,
    OPERATOR,
    READER,
    REHEARSE,
    RESUME,
    SHADOW,
    RunbookStand,
    engine_of,
)
from tests.acceptance.victor_service import VictorServices

GO, NO, USAGE, UNKNOWN = 0, 1, 2, 3
AT_25 = engine_of("v3_canary", 25)


@pytest.fixture
def assistant(victors: VictorServices) -> Iterator[Assistant]:
    """Both engines, which are well."""
    yield Assistant(victors)
    victors.others.clear()


@pytest.fixture
def begin(
    running: tuple[PrometheusServer, Genesis], assistant: Assistant, alertmanager: AlertmanagerServer, tmp_path: Path
) -> Iterator[Callable[[str], RunbookStand]]:
    """Starts a daemon over the assistant with these flags."""
    assert assistant
    with ExitStack() as stands:
        yield lambda text: stands.enter_context(RunbookStand(tmp_path, text, running[0].url, alertmanager))


def test_from_the_first_shadow_diff_to_v3_alone(begin: Callable[[str], RunbookStand]) -> None:
    stand = begin(ENGINE)
    stand.arrives(SHADOW, "shadow")
    assert stand.flags_now == engine_of("v3_shadow", 10)

    # a critical case regressed: no canary
    stand.results("v2.json", engine="v2")
    stand.results("v3_shadow.json", engine="v3_shadow", failing=["FIN-01"])
    assert stand.type(DIFF).code == NO
    assert stand.type(DIFF_IN).code == GO
    assert 'evidence "shadow-diff": canary_allowed 0, must be == 1' in stand.stays(CANARY)
    stand.results("v2.json", engine="v2")
    stand.results("v3_shadow.json", engine="v3_shadow")
    assert [stand.type(DIFF).code, stand.type(DIFF_IN).code] == [GO, GO]
    stand.arrives(CANARY, "canary-10")
    assert stand.flags_now == engine_of("v3_canary", 10)

    # what cannot be told holds, and rolls nothing back
    stand.results("reader.json", READER)
    stand.results("operator.json", READER)
    assert [stand.type(GATE).code, stand.type(GATE_IN).code] == [UNKNOWN, GO]
    assert ("overall_go 0, must be == 1" in stand.stays(CLIMB), stand.get()["stage"]) == (True, "canary-10")
    stand.both_roles()
    assert [stand.type(f"{GATE} --force").code, stand.type(GATE_IN).code] == [GO, GO]
    stand.arrives(CLIMB, "canary-25")
    assert stand.flags_now == AT_25

    stand.both_roles()
    assert [stand.type(GATE, 25).code, stand.type(GATE_IN, 25).code] == [GO, GO]
    stand.arrives(CLIMB, "canary-50", 25)

    stand.both_roles()
    assert [stand.type(GATE, 50).code, stand.type(GATE_IN, 50).code] == [GO, GO]
    assert "no rollback has been rehearsed" in stand.stays(CLIMB, 50)
    assert stand.type(REHEARSE).code == GO
    assert "FIN-01 SAL-01 STK-01 WR-02 passed at v2" in str(stand.history("step"))
    stand.arrives(CLIMB, "canary-100", 50)
    assert stand.flags_now == engine_of("v3_canary", 100)

    stand.both_roles()
    gated = stand.type(GATE_100)
    assert (gated.code, "hold at 100 % and monitor" in gated.out) == (GO, True), gated
    assert json.loads((stand.folder / "gates/build-512_release_gate_stage100.json").read_text())["next_stage"] == "hold_100pct_monitor"
    assert stand.type(GATE_100_IN).code == GO
    stand.arrives(ACTIVE, "active")
    assert stand.flags_now == engine_of("v3_active", 100)
    assert ([one["code"] for one in stand.history("intended", kind="rollback")], stand.tickets) == (["rehearsal"], [])


def test_a_gate_that_fails_at_25_percent_sets_v2_within_one_cycle_and_opens_a_ticket_for_each_check(begin: Callable[[str], RunbookStand]) -> None:
    stand = begin(AT_25)
    stand.wait(lambda: stand.get()["stage"] == "canary-25", "its stage to be found")
    folder = stand.folder / "gates"

    # what contradicts itself is no evidence
    stand.both_roles(failing=["SAL-01"], latency_ms=7000)
    assert stand.type(GATE, 25).code == NO
    failed = (folder / "build-512_release_gate_stage25.json").read_text(encoding="utf-8")
    tampered = failed.replace('"overall_go": false', '"overall_go": true').replace('"decision": "no-go"', '"decision": "go"')
    (folder / "tampered.json").write_text(tampered, encoding="utf-8")
    assert 'its checks come to "no-go"' in refusal(stand, "tampered.json")
    (folder / "ahead.json").write_text(failed.replace('"first_began": "20', '"first_began": "21'), encoding="utf-8")
    assert "has not come yet; look at the clock of the runner" in refusal(stand, "ahead.json")
    stand.results("operator.json", OPERATOR, critical=False)
    twice = stand.type(GATE, 25)
    assert (twice.code, "reader.json: cases[0]" in twice.err, "operator.json: cases[0]" in twice.err) == (USAGE, True, True), twice
    stand.results("operator.json", OPERATOR, later=timedelta(hours=1))
    assert stand.type(GATE, 25).code == USAGE
    stand.wait_for_evaluations(2)
    assert (stand.flags_now, stand.tickets, stand.history("evidence")) == (AT_25, [], [])

    missed = stand.metric("cycles_missed_total")
    assert stand.type(GATE_IN, 25).code == GO
    stand.wait_for_phase("rolled_back")
    assert stand.flags_now == ENGINE
    [taken], [back] = stand.history("evidence"), stand.history("intended", kind="rollback")
    late = stand.metric("cycles_missed_total")
    assert (missed, late) != (None, None)
    cycles = 1 + (late or 0) - (missed or 0)
    assert when(back["at"]) - when(taken["at"]) <= cycles * timedelta(milliseconds=250)
    assert ("failed_checks 2 > 0" in str(back["why"]), back["to"]) == (True, "baseline")
    tickets = {one["facts"]["check"]: one for one in stand.wait(lambda: len(stand.tickets) > 1 and stand.tickets, "the tickets")}
    assert [*tickets] == ["critical_cases", "latency_p95"]
    ticket = tickets["latency_p95"]
    assert (ticket["stage"], ticket["facts"]["label"], ticket["facts"]["sha256"]) == ("canary-25", "build-512", taken["sha256"])
    assert ticket["sentence"] == f"{stand.rollout} fails the check latency_p95 of release-gate: {ticket['facts']['came_to']}"
    assert "the p95 of 8 first runs is 7000 ms" in ticket["sentence"]
    stand.wait_for_alert("RolloutRolledBack")
    assert {"alertname": "ReleaseGateFailed", "severity": "critical"} in [alert for one in stand.history("told") for alert in one["alerts"]]

    # mended: what failed before takes nothing back a second time
    assert stand.type(RESUME).code == GO
    stand.wait_for_resolved("ReleaseGateFailed")
    stand.arrives(SHADOW, "shadow")
    stand.results("v2.json", engine="v2")
    stand.results("v3_shadow.json", engine="v3_shadow")
    assert [stand.type(DIFF).code, stand.type(DIFF_IN).code] == [GO, GO]
    stand.arrives(CANARY, "canary-10")
    stand.wait_for_evaluations(3)
    assert (stand.get()["stage"], stand.get()["phase"] in {"soaking", "ready"}) == ("canary-10", True)
    assert len(stand.tickets) == 2


def test_more_errors_of_v3_than_allowed_go_back_to_v2_in_one_step(begin: Callable[[str], RunbookStand], assistant: Assistant) -> None:
    stand = begin(AT_25)
    stand.wait_for_phase("ready")
    assistant.failing["experiment"] = 0.3
    stand.wait_for_phase("rolled_back")
    assert stand.flags_now == ENGINE
    [back] = stand.history("done", kind="rollback")
    assert (back["from"], back["to"]) == ("canary-25", "baseline")
    assert "V3ErrorRateHigh" in str(stand.history("intended", kind="rollback"))


def refusal(stand: RunbookStand, name: str) -> str:
    """What a file is refused with; that is on record."""
    ran = stand.type(f"rollbackd evidence {stand.rollout} release-gate gates/{name} --reason 'it says go'")
    assert ran.code == NO
    assert stand.history("refused")[-1]["request"] == "evidence"
    return ran.err


def when(text: str) -> datetime:
    return datetime.fromisoformat(text)
