"""Follow-ups after completion with a real daemon and compressed times: looked at, told, decided; and what people are shown of it."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from rollback_daemon.faces import telling
from rollback_daemon.governance.markdown import markdown
from rollback_daemon.judge.transitions import Event
from rollback_daemon.lab.servers import AlertmanagerServer, PrometheusServer, wait_until
from rollback_daemon.lab.toolset import Toolset
from tests.faces.alerts.alerts_guard import CANARY, Guard
from tests.faces.alerts.alerts_guard import RULES as ALERT_RULES
from tests.faces.http.bench import RULES, Bench
from tests.governance.tale import Tale

TOP: dict[str, Any] = {**CANARY, "share": 50}
DAY = 86400


def rules(*checks: dict[str, Any], after: tuple[str, ...]) -> str:
    """The usual rollout, complete as soon as it is at its highest stage, with these follow-ups."""
    soonest = RULES.replace('{SHARE: "50"}, soak: 1h', '{SHARE: "50"}, soak: 0s')
    assert soonest != RULES
    return soonest + yaml.safe_dump({"follow_up": {"after": list(after), "checks": list(checks)}})


def completed(bench: Bench) -> Bench:
    """Climbed to the top, and complete there."""
    bench.to_canary()
    wait_until(lambda: bench.ask_for("promote", reason="on").status_code == 202, "the promotion to be allowed", 20)
    bench.wait_for(phase="complete")
    return bench


def follow_ups(bench: Bench) -> Any:
    return bench.get("/api/v1/rollouts/checkout/explain").json()["follow_ups"]


def looks(bench: Bench) -> list[dict[str, Any]]:
    """Those on record, oldest first."""
    return [one for one in bench.history() if one["event"] == "followed_up"]


def test_one_that_fails_is_told_and_taken_again_and_after_the_last_a_person_decides(toolset: Toolset, told: PrometheusServer, tmp_path: Path) -> None:
    ok = tmp_path / "ok"
    checks = ({"http": f"{told.url}/-/healthy"}, {"command": ["/bin/sh", "-c", f"test -e {ok} || {{ echo no orders; exit 4; }}"]})
    with AlertmanagerServer(toolset.alertmanager, tmp_path / "alertmanager") as alertmanager:
        config = {"alerting": {"alertmanagers": [{"url": alertmanager.url}], "resend_delay": "1s"}}
        with Bench(tmp_path / "bench", told.url, rules=rules(*checks, after=("1s", "4s")), config=config) as bench:
            bench.set_error_rate(0)
            assert 'follow_ups_total{outcome="missed",rollout="checkout"} 0.0' in bench.get("/metrics").text
            completed(bench)

            def alerts() -> set[str]:
                return {one["labels"]["alertname"] for one in alertmanager.alerts()}

            wait_until(lambda: "RolloutFollowUpFailed" in alerts(), "the failure to be told", 20)
            early = bench.ask_for("decide", decision="keep", reason="too early")
            assert early.status_code == 409
            assert "its last follow-up has not been; number " in early.text
            ok.touch()
            wait_until(lambda: {"RolloutDecisionDue"} == alerts() - {"Warned"}, "the decision to be asked for, and the failure to end", 20)
            explained = bench.rollbackd("explain", "checkout").out
            for words in ("follow-ups  1s, 4s after it was complete at", "1s   passed  ", " tries", "4s   passed  ", "a person decides now"):
                assert words in explained, explained
            ran = bench.rollbackd("decide", "checkout", "clean-up", "--reason", "nobody uses the old one")
            assert (ran.code, ran.out) == (0, "checkout: clean-up is on record\n"), ran.err
            again = bench.ask_for("decide", decision="keep", reason="or rather not")
            assert (again.status_code, "was decided already by" in again.text) == (409, True)
            wait_until(lambda: not alerts() - {"Warned"}, "the question to end", 20)
            assert follow_ups(bench)["decision"]["decision"] == "clean-up"
            assert bench.rollout()["next"] == 'at the top, and still watched; a person decided "clean-up"'
            first, *_, last = looks(bench)
            assert (first["outcome"], first["checks"][-1]["output"]) == ("failed", "no orders")
            assert (last["outcome"], last["number"], last["decision_due"]) == ("passed", 2, True)
            failed = sum(one["outcome"] == "failed" for one in looks(bench))
            assert f'follow_ups_total{{outcome="failed",rollout="checkout"}} {failed}.0' in bench.get("/metrics").text
            sentences = [telling.told(one) for one in bench.history()]
            assert any(one.startswith("follow-up 1 of 2 failed in ") and one.endswith(' s: "/bin/sh" exited with 4') for one in sentences)
            assert "clean-up at half: nobody uses the old one" in sentences


def test_one_that_a_kill_ended_is_run_again(told: PrometheusServer, tmp_path: Path) -> None:
    begun, go = tmp_path / "begun", tmp_path / "go"
    check = {"command": ["/bin/sh", "-c", f"echo x >> {begun}; until test -e {go}; do sleep 0.05; done"]}
    with Bench(tmp_path / "bench", told.url, rules=rules(check, after=("1s",))) as bench:
        bench.set_error_rate(0)
        completed(bench)
        wait_until(begun.exists, "the check to run", 20)
        bench.daemon.kill()
        go.touch()
        bench.daemon.start()
        wait_until(lambda: looks(bench), "the check to have been run again", 20)
        assert begun.read_text() == "x\nx\n"
        (look,) = looks(bench)
        assert (look["outcome"], look["try"]) == ("passed", 1)


# without a daemon


@pytest.fixture
def guard(tmp_path: Path) -> Guard:
    """Complete at noon, with a follow-up after one day and one after two."""
    made = Guard(tmp_path, ALERT_RULES.replace("soak: 1h", "soak: 0s") + "follow_up: {after: [1d, 2d]}\n")
    made.see(0, TOP)
    return made


def look(guard: Guard, day: int, outcome: str, why: str = "every check passed") -> dict[str, Any]:
    """A follow-up at that day, and the alerts after it."""
    return guard.happen(day * DAY, Event.FOLLOWED_UP, number=day, after=float(day * DAY), outcome=outcome, why=why)


def test_nothing_is_told_as_long_as_all_is_well(guard: Guard) -> None:
    assert guard.alerts() == {}
    assert look(guard, 1, "passed") == {}


def test_a_failed_follow_up_is_critical_and_ends_when_it_passes(guard: Guard) -> None:
    alert = look(guard, 1, "failed", "./smoke.sh exited with 1")["RolloutFollowUpFailed"]
    assert alert.labels["severity"] == "critical"
    assert alert.annotations["summary"] == "the follow-up 1d after the completion of checkout did not pass"
    assert alert.annotations["description"] == "./smoke.sh exited with 1. The next look is at 2026-03-02 13:00:00 UTC."
    again = look(guard, 1, "failed", "./smoke.sh exited with 1")["RolloutFollowUpFailed"]
    assert (again.starts_at, "2 times now" in again.annotations["description"]) == (alert.starts_at, True)
    assert look(guard, 1, "passed") == {}


def test_one_that_could_not_be_told_is_a_warning(guard: Guard) -> None:
    alert = look(guard, 1, "unknown", "could not tell: no data")["RolloutFollowUpFailed"]
    assert (alert.labels["severity"], alert.annotations["summary"]) == (
        "warning",
        "the follow-up 1d after the completion of checkout could not be told",
    )


def test_after_the_last_one_a_decision_is_asked_for_until_it_is_made(guard: Guard) -> None:
    alert = look(guard, 2, "passed")["RolloutDecisionDue"]
    assert (alert.labels["severity"], alert.annotations["value"]) == ("warning", "the follow-up after 2d: passed")
    assert "rollbackd decide checkout keep|clean-up|tune --reason" in alert.annotations["description"]
    assert guard.happen(3 * DAY, Event.DECIDED, decision="tune", by="ann", why="the limits are loose") == {}


def test_one_that_has_failed_is_told_until_the_next_passes(guard: Guard) -> None:
    first = look(guard, 1, "failed", "no")["RolloutFollowUpFailed"]
    second = look(guard, 2, "failed", "no")["RolloutFollowUpFailed"]
    assert (second.starts_at, second.annotations["summary"][:16]) == (first.starts_at, "the follow-up 2d")
    assert set(look(guard, 2, "passed")) == {"RolloutDecisionDue"}


def test_a_last_one_that_fails_asks_for_the_decision_when_it_has_had_its_tries(guard: Guard) -> None:
    for _ in range(23):
        assert set(look(guard, 2, "failed", "no")) == {"RolloutFollowUpFailed"}
    found = look(guard, 2, "failed", "no")
    assert set(found) == {"RolloutFollowUpFailed", "RolloutDecisionDue"}
    assert found["RolloutDecisionDue"].annotations["value"] == "the follow-up after 2d: failed in all of 24 tries"
    assert look(guard, 2, "passed")["RolloutDecisionDue"].annotations["value"] == "the follow-up after 2d: passed"
    assert guard.happen(3 * DAY, Event.DECIDED, decision="clean-up", by="ann", why="it was a bad idea") == {}


def test_the_report_has_every_look_and_the_decision_with_their_records() -> None:
    tale = Tale()
    tale.adopted("full")
    assert "Follow-ups" not in markdown(tale.report())
    body = {"of": 2, "seconds": 0.1, "checks": [], "try": 1}
    tale.put("followed_up", number=2, after=604800.0, outcome="failed", why="a | b", missed=[{"number": 1, "after": 86400.0}], **body)
    tale.put("followed_up", number=2, after=604800.0, outcome="passed", why="every check passed", **{**body, "try": 2})
    seq = tale.put("decided", decision="keep", by="ann", why="it works", stage="full")
    found = tale.report()
    assert [one["outcome"] for one in found["follow_ups"]] == ["failed", "passed"]
    text = markdown(found)
    assert "| 2 of 2 (1w) | **failed** | a \\| b | 1d |" in text
    assert "| 2 of 2 (1w), try 2 | passed | every check passed | - |" in text
    assert f"**keep**, decided by ann 2026-03-01 12:00:04 UTC, record `{seq}`: it works." in text
    assert "| follow ups | 2, 3 |" in text
