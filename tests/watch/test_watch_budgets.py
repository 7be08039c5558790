"""A trigger that may be without sight only for so long, on a real flag file and a real journal: what is shown of it, and what is on record."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from rollback_daemon.faces import alerts, telling, views, views_past, views_record
from rollback_daemon.faces.metrics import PREFIX, RolloutCollector
from rollback_daemon.governance.happenings import timeline
from rollback_daemon.governance.incident_records import find
from rollback_daemon.governance.incident_report import incident_report
from rollback_daemon.governance.incident_words import cause
from rollback_daemon.governance.past import past
from rollback_daemon.hooks.events import notices
from rollback_daemon.judge.reasons import Code
from rollback_daemon.judge.transitions import Event
from rollback_daemon.rules.model import ActionKind, ErrorBudget, NoDataBudget
from tests.watch.guarded import AWAY, EMPTY, GOOD, SECOND, Desk, content

SPENT = "ErrorsHigh: no data for 3s (at most 3s): the query returned nothing"


def make(folder: Path, then: ActionKind = ActionKind.ROLLBACK, **changes: Any) -> Desk:
    """At half; ErrorsHigh may be without data for three seconds, and fail to be asked twice in a row."""
    desk = Desk(folder).climb_to("half")
    first, *others = desk.rollout.triggers
    budgeted = replace(first, errors=ErrorBudget(2, ActionKind.HOLD), no_data=NoDataBudget(3 * SECOND, then))
    desk.restart(triggers=(budgeted, *others), **changes)
    desk.evaluate()
    return desk


def ratios(desk: Desk) -> dict[str, float]:
    """How much of each budget is used, as Prometheus would scrape it."""
    families = {family.name: family for family in RolloutCollector(lambda: [desk.watch]).collect()}
    return {one.labels["budget"]: one.value for one in families[f"{PREFIX}trigger_budget_used_ratio"].samples}


def told(desk: Desk, name: str = "RolloutBudgetSpent") -> list[alerts.Alert]:
    """The alerts of that name."""
    assert desk.watch.judgement
    found = alerts.active(desk.watch.ladder, desk.watch.state, desk.watch.judgement, external_url="", external_labels={})
    return [one for one in found if one.labels["alertname"] == name]


def test_what_is_used_of_a_budget_is_shown_before_it_is_spent(tmp_path: Path) -> None:
    desk = make(tmp_path)
    assert ratios(desk) == {"errors": 0.0, "no_data": 0.0}
    assert "at most" not in views.summary(desk.watch)["next"]
    desk.evaluate(EMPTY, times=2)
    shown = views.explanation(desk.watch)["triggers"][0]["budgets"]
    assert [(one["budget"], one["sentence"], one["then"], one["spent"]) for one in shown] == [
        ("errors", "0 failed evaluations in a row (at most 2)", "hold", None),
        ("no_data", "no data for 1s (at most 3s)", "rollback to previous", None),
    ]
    assert views.summary(desk.watch)["next"].startswith("ErrorsHigh: no data for 1s (at most 3s), then rollback to previous")
    assert ratios(desk) == {"errors": 0.0, "no_data": 1 / 3}
    assert told(desk) == []
    desk.close()


def test_lack_of_data_that_lasts_takes_it_back_and_the_record_says_so(tmp_path: Path) -> None:
    desk = make(tmp_path)
    desk.evaluate(EMPTY, times=4)
    spent = desk.hands.time
    assert desk.settle().flags == content("canary")
    (body,) = desk.bodies(Event.BUDGET)
    assert (body["alert"], body["budget"], body["spent"], body["then"], body["why"]) == ("ErrorsHigh", "no_data", True, "rollback to previous", SPENT)
    assert (desk.position.code, desk.position.why) == (Code.NO_DATA, SPENT)
    desk.evaluate(GOOD)
    records = desk.records()
    assert [telling.told(views_record.event(one)) for one in records if one.kind == Event.BUDGET] == [
        f"spent, rollback to previous: {SPENT}",
        "ErrorsHigh is within its budget (no_data) again",
    ]
    assert [one.event for record in records for one in notices(record, lambda _: None)][-1] == "rolled_back"
    then = views_past.moment(past(desk.journal, "checkout", spent), desk.rollout)
    assert [(one["alert"], one["why"]) for one in then["budgets"]] == [("ErrorsHigh", SPENT)]
    assert views_past.moment(past(desk.journal, "checkout", desk.hands.time), desk.rollout)["budgets"] == []
    desk.close()


def test_its_incident_tells_the_cause(tmp_path: Path) -> None:
    desk = make(tmp_path)
    desk.evaluate(EMPTY, times=4)
    desk.settle().evaluate(GOOD)
    one, records = find(desk.journal, "checkout", "last")
    report = incident_report(one, records, views.explanation(desk.watch), [], desk.hands.time)
    assert cause(report) == "there was no data for too long: ErrorsHigh"
    assert "ErrorsHigh has spent its budget for lack of data: rollback to previous" in [line["what"] for line in timeline(one.all)]
    desk.close()


def test_people_are_told_until_it_can_be_seen_again(tmp_path: Path) -> None:
    desk = make(tmp_path, ActionKind.ALERT)
    desk.evaluate(EMPTY, times=4)
    (alert,) = told(desk)
    assert (alert.labels["trigger"], alert.labels["budget"], alert.labels["severity"], alert.starts_at) == (
        "ErrorsHigh",
        "no_data",
        "critical",
        desk.hands.time,
    )
    assert alert.annotations["description"] == f"{SPENT}. Its rule asks for no more than this alert."
    used = "ErrorsHigh: no data for 3s (at most 3s), BUDGET SPENT, alert"
    assert views.summary(desk.watch)["next"].startswith(f"NOT GUARDED: the query returned nothing; {used}")
    assert desk.flags == content("half")
    lasts = "ErrorsHigh: hold after more than 2 failed evaluations in a row; ErrorsHigh: alert after 3s without data"
    assert told(desk, "RolloutBlind")[0].annotations["description"].endswith(f"If it lasts: {lasts}.")
    desk.evaluate(AWAY)
    assert [one.starts_at for one in told(desk)] == [alert.starts_at]
    desk.evaluate(AWAY, times=2)
    assert {one.labels["budget"] for one in told(desk)} == {"errors", "no_data"}
    assert told(desk)[1].annotations["description"] == "ErrorsHigh: no data for 3s (at most 3s). Its rule asks for no more than this alert."
    assert desk.position.why == "ErrorsHigh: 3 failed evaluations in a row (at most 2): no answer: connection refused"
    desk.evaluate(GOOD)
    assert told(desk) == []
    desk.close()


def test_where_it_is_only_observed_the_alert_says_what_would_have_been(tmp_path: Path) -> None:
    desk = make(tmp_path, enforce=False)
    desk.evaluate(EMPTY, times=5)
    (alert,) = told(desk)
    assert alert.annotations["description"].endswith("(mode: observe); it would have been: rollback to previous.")
    assert [body["would"] for body in desk.bodies(Event.OBSERVED)] == ["rollback to previous"]
    assert desk.flags == content("half")
    desk.close()


def test_what_is_used_survives_a_restart(tmp_path: Path) -> None:
    desk = make(tmp_path)
    desk.evaluate(EMPTY, times=3)
    desk.restart().evaluate(EMPTY)
    assert desk.settle().flags == content("canary")
    desk.close()
