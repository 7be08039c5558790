"""What a rule file says of the time after a rollback, or after completion, and what is taken where it says nothing."""

from datetime import timedelta
from pathlib import Path

import pytest

from rollback_daemon.rules.aftercare import Aftercare, AtMost, Escalation, FollowUps, Hook, LogScan, Recovery, Way, WayKind
from rollback_daemon.rules.duties import Command, HttpCheck
from rollback_daemon.rules.load import load
from rollback_daemon.rules.model import Action, ActionKind, Rollout

GOOD = Path(__file__).parent / "good"
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
BASE = """\
rollout: demo
owner: team-shop
interval: 15s
flags: {store: dotenv, path: .env}
baseline: {USE_X: "false"}
stages:
  - {stage: canary, exposure: 10%, set: {USE_X: "true"}}
  - {stage: half, exposure: 50%, set: {USE_X: "true"}}
signals: {errors: {expr: error_ratio}}
gates: [{gate: Errors, signal: errors, below: 1%}]
triggers: [{alert: ErrorsHigh, signal: errors, above: 1%}]
"""


@pytest.fixture(scope="module")
def everything() -> Rollout:
    return load(GOOD / "everything.yml")


def aftercare(folder: Path, more: str) -> Aftercare:
    """Of the base file with some keys more."""
    (folder / "demo.yml").write_text(BASE + more, encoding="utf-8")
    return load(folder / "demo.yml").aftercare


def actions(rollout: Rollout) -> dict[str, Action]:
    return {one.name: one.action for one in rollout.triggers}


def test_a_file_that_says_nothing_has_one_way_back_and_two_levels(tmp_path: Path) -> None:
    care = aftercare(tmp_path, "")
    assert care == Aftercare()
    assert (care.verify, care.ways, care.hooks, care.follow_ups) == ((), (Way(WayKind.FLAGS),), (), None)
    assert care.escalation == Escalation(("ticket", "lead"), rollback=False)
    assert (care.cooldown, care.max_rollbacks, care.postmortem) == (timedelta(), None, False)


def test_each_kind_of_step(everything: Rollout) -> None:
    health, smoke, recovery, some, log = everything.aftercare.verify
    assert health == HttpCheck("http://127.0.0.1:8000/health", {"/checkout": False}, MINUTE)
    assert smoke == Command((f"{GOOD}/smoke.sh", "--fast"), 2 * MINUTE, {"STAGE": "baseline", "LANG": "C"})
    assert log == LogScan(str(GOOD / "logs" / "shop.log"), "ERROR.*checkout")  # a relative path starts at the rule file
    assert recovery == Recovery(HOUR, 2 * HOUR)
    assert some == Recovery(10 * MINUTE, 30 * MINUTE, frozenset({"Errors", "Overlay"}))


def test_steps_at_some_stages_only(everything: Rollout) -> None:
    care = everything.aftercare
    health, smoke, recovery, some, log = care.verify
    assert care.only_at == {0: {"baseline"}, 3: {"canary", "half"}}
    assert care.proofs("baseline") == (health, smoke, recovery, log)
    assert care.proofs("half") == (smoke, recovery, some, log)


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("./smoke.sh", "{here}/smoke.sh"),
        ("bin/smoke", "{here}/bin/smoke"),
        ("../smoke.sh", "{here}/../smoke.sh"),
        ("/bin/sh", "/bin/sh"),
        ("sh", "sh"),
    ],
)
def test_a_program_with_a_folder_starts_at_the_rule_file_wherever_it_stands(tmp_path: Path, written: str, meant: str) -> None:
    way = f"{{command: [{written}, ./argument]}}"
    more = f"verify: [{way}]\nways_back: [flags, {way}]\nfollow_up: {{checks: [{way}]}}\nrehearsal: {{steps: [{way}]}}\n"
    hooked = f"hooks: [{{hook: A, on: [ready], command: [{written}, ./argument]}}]\n"
    rules = BASE.replace("path: .env}", f"path: .env, after_change: {way}}}") + more + hooked
    (tmp_path / "demo.yml").write_text(rules, encoding="utf-8")
    rollout = load(tmp_path / "demo.yml")
    care, rehearsal = rollout.aftercare, rollout.rehearsal
    assert rehearsal is not None
    assert care.follow_ups is not None
    steps = [rollout.flags.after_change, *rehearsal.steps, *care.verify, care.ways[1].command, care.hooks[0].command, *care.follow_ups.checks]
    assert [one.argv for one in steps if isinstance(one, Command)] == [(meant.format(here=tmp_path), "./argument")] * 6


def test_a_program_keeps_the_name_that_it_is_called_by(tmp_path: Path) -> None:
    (tmp_path / "python").symlink_to("/usr/bin/env")  # as in a virtual environment, which is found by that name
    (step,) = aftercare(tmp_path, "verify: [{command: [./python]}]\n").verify
    assert step == Command((f"{tmp_path}/python",))


def test_a_short_recovery_may_take_at_least_four_intervals_more(tmp_path: Path) -> None:
    (step,) = aftercare(tmp_path, "verify: [{signals: gates, for: 10s}]\n").verify
    assert step == Recovery(timedelta(seconds=10), timedelta(seconds=70))


def test_ways_back_in_their_order(everything: Rollout) -> None:
    assert everything.aftercare.ways == (
        Way(WayKind.FLAGS),
        Way(WayKind.BACKUP),
        Way(WayKind.COMMAND, Command(("pip", "install", "shop==1.4.2"), 5 * MINUTE, {"PIP_NO_INPUT": "1"})),
        Way(WayKind.THEN),
        Way(WayKind.THEN, to="canary"),
        Way(WayKind.THEN, to="baseline", after=5 * MINUTE),
    )
    assert [str(one) for one in everything.aftercare.ways][2:5] == ["command pip", "rollback to previous", "rollback to canary"]


def test_one_stage_down_and_one_more_is_no_repetition(tmp_path: Path) -> None:
    further = "{then: {rollback: previous, after: 1m}}"
    assert len(aftercare(tmp_path, f"ways_back: [flags, {further}, {further}]\n").ways) == 3


def test_limits_escalation_and_follow_ups(everything: Rollout) -> None:
    care = everything.aftercare
    assert (care.cooldown, care.max_rollbacks, care.postmortem) == (HOUR, AtMost(2, DAY), True)
    assert care.escalation == Escalation(("ticket", "lead"), rollback=True, to=None, in_=30 * MINUTE)
    health = HttpCheck("http://127.0.0.1:8000/health", {"/checkout": True})
    assert care.follow_ups == FollowUps((DAY, 7 * DAY, 30 * DAY), (health, Command((f"{GOOD}/smoke.sh",))))


def test_follow_ups_are_at_day_1_7_and_30_unless_told(tmp_path: Path) -> None:
    assert aftercare(tmp_path, "follow_up: {}\n").follow_ups == FollowUps((DAY, 7 * DAY, 30 * DAY))


def test_hooks(everything: Rollout) -> None:
    ticket, chat = everything.aftercare.hooks
    assert ticket == Hook("Ticket", frozenset({"gate_failed"}), Command((f"{GOOD}/ticket.sh",), MINUTE, {"QUEUE": "shop"}), timeout=MINUTE)
    events = frozenset({"rolled_back", "verified", "unverified", "frozen", "drift"})
    key = str(GOOD / "keys" / "chat.key")
    assert chat == Hook("Chat", events, None, "https://hooks.example.com/shop", key, timedelta(seconds=5))


def test_an_http_hook_has_ten_seconds_unless_told(tmp_path: Path) -> None:
    (hook,) = aftercare(tmp_path, "hooks: [{hook: Chat, on: [ready], http: 'https://hooks.example.com'}]\n").hooks
    assert hook.timeout == timedelta(seconds=10)


def test_what_a_trigger_leads_to_in_time(everything: Rollout) -> None:
    found = actions(everything)
    assert found["LatencyLong"] == Action(ActionKind.ROLLBACK, None, in_=30 * MINUTE)
    assert found["MemoryLong"] == Action(ActionKind.ROLLBACK, "canary", in_=HOUR)
    assert found["ShareLong"] == Action(ActionKind.ROLLBACK)  # as if only "rollback" stood there
    assert found["CacheDown"] == Action(ActionKind.DEGRADE, flags={"/checkout/share": 0}, until=10 * MINUTE)
    assert found["RedisDown"].until is None
    escalates = {one.name: one.escalate_after for one in everything.triggers if one.escalate_after}
    assert escalates == {"ErrorsHigh": HOUR, "LatencyLong": 30 * MINUTE}


def test_a_level_may_be_a_rollback_at_once(tmp_path: Path) -> None:
    care = aftercare(tmp_path, "escalation: [on-call, {rollback: canary, in: 0}]\n")
    assert care.escalation == Escalation(("on-call",), rollback=True, to="canary")
