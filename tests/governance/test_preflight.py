"""The preflight, check by check: what passes, what fails, and what cannot be told and is therefore no pass."""

import os
import re
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rollback_daemon.governance import file_checks
from rollback_daemon.governance.finding import Finding, overall
from rollback_daemon.judge.position import Open
from rollback_daemon.judge.reasons import Outcome
from rollback_daemon.judge.transitions import Kind
from rollback_daemon.rules.duties import Backups
from rollback_daemon.rules.measures import Baseline, Condition, Needs, OnNoData, Op, Relative, Signal
from rollback_daemon.rules.model import Gate, Trigger
from rollback_daemon.rules.triggers import Threshold
from rollback_daemon.signals.observation import Failed, Failure, NoData, Observation, Value
from rollback_daemon.signals.prometheus import AlertingRule
from tests.governance.dayone import ALL, ANSWERS, AWAY, ERRORS, NOTHING, NOW, PASTED, DayOne, aged, at

PASS, FAIL, UNKNOWN = Outcome.PASS, Outcome.FAIL, Outcome.UNKNOWN
HOUR = timedelta(hours=1)
QUERY = "query genesis_error_rate"


def test_the_checks_come_in_their_order(day: DayOne) -> None:
    day.wants(services=("http://127.0.0.1:8000/health",), alert_rules=("High",), backups=(Backups("/nowhere/*", HOUR),))
    day.world.services, day.world.alertmanagers = {}, {"http://127.0.0.1:9093": ""}
    assert [one.check for one in day.findings()] == [
        "service http://127.0.0.1:8000/health",
        "prometheus",
        QUERY,
        f"query {PASTED.expr}",
        "disk of the flags",
        "disk of the journal",
        "flag file",
        "flags",
        "flag folder",
        "backup of the flags",
        "backup /nowhere/*",
        "alert rule High",
        "alertmanager",
    ]


def test_all_is_well_on_a_good_day(day: DayOne) -> None:
    assert {one.check: one.evidence for one in day.findings() if one.outcome is not PASS} == {}


@given(st.lists(st.sampled_from(Outcome)))
def test_one_fail_is_a_fail_and_one_unknown_is_no_pass(outcomes: list[Outcome]) -> None:
    found = overall(Finding("x", one, "") for one in outcomes)
    assert (found is PASS) == (set(outcomes) <= {PASS})
    assert (found is FAIL) == (FAIL in outcomes)


# services


@pytest.mark.parametrize(
    ("seen", "outcome", "evidence"),
    [
        (Value({(): 1.0}), PASS, "answers"),
        (Value({(): 0.0}, warnings=("http://genesis.example.com/health: HTTP 503",)), FAIL, "HTTP 503"),
        (Failed(Failure.UNREACHABLE, "cannot be asked from here"), UNKNOWN, "cannot be asked from here"),
        (None, UNKNOWN, "was not asked"),
    ],
)
def test_a_service_must_answer_well(day: DayOne, seen: Observation | None, outcome: Outcome, evidence: str) -> None:
    user, secret = "probe", "hidden"
    url = f"http://{user}:{secret}@genesis.example.com/health"
    day.wants(services=(url,))
    day.world.services = {url: seen} if seen else {}
    assert day.finding("service http://genesis.example.com/health") == Finding("service http://genesis.example.com/health", outcome, evidence)


# prometheus and its queries


@pytest.mark.parametrize(
    ("seen", "outcome", "evidence"),
    [
        (Value({(): 0.0004}), PASS, "1 series: 0.0004"),
        (Value({(("code", "500"),): 3.0, (("code", "503"),): 4.0}), PASS, "2 series, the first 3"),
        (Value({(): 1.0}, {(("a", "b"),): "the value is NaN"}), PASS, "1 series: 1; 1 without a number (the value is NaN)"),
        (Value({(): 1.0}, warnings=("metric might not be a counter",)), PASS, "1 series: 1; metric might not be a counter"),
        (NOTHING, FAIL, "the query returned nothing; is the name right, and is it scraped?"),
        (NoData("the value is NaN"), FAIL, "the value is NaN"),
        (Failed(Failure.REFUSED, "HTTP 422: many-to-many matching"), FAIL, "HTTP 422: many-to-many matching"),
        (Failed(Failure.TIMEOUT, "no complete answer within 7s"), UNKNOWN, "no complete answer within 7s"),
        (Failed(Failure.SERVER, "HTTP 500: disk"), UNKNOWN, "HTTP 500: disk"),
        (Failed(Failure.MALFORMED, "the answer is not JSON"), UNKNOWN, "the answer is not JSON"),
    ],
)
def test_a_query_must_return_data(day: DayOne, seen: Observation, outcome: Outcome, evidence: str) -> None:
    day.world.answers = {"genesis_error_rate": seen}
    assert day.finding(QUERY) == Finding(QUERY, outcome, f"{evidence}; for error_rate, Errors, ErrorRateHigh")


def test_while_prometheus_is_away_nothing_is_known_of_queries(day: DayOne) -> None:
    day.world.away = True
    assert day.finding("prometheus") == Finding("prometheus", FAIL, f"http://127.0.0.1:9090: {AWAY.why}")
    assert {one.outcome for one in day.findings() if one.check.startswith("query ")} == {UNKNOWN}


def test_while_prometheus_refuses_everything_nothing_is_known_of_queries(day: DayOne) -> None:
    day.world.answers = dict.fromkeys([ANSWERS, "genesis_error_rate", PASTED.expr], Failed(Failure.REFUSED, "HTTP 401: no reason given"))
    assert day.outcome("prometheus") is FAIL
    assert {one.outcome for one in day.findings() if one.check.startswith("query ")} == {UNKNOWN}


def test_a_pasted_alert_that_is_quiet_is_well(day: DayOne) -> None:
    day.world.answers = {PASTED.expr: NOTHING}
    assert day.finding(f"query {PASTED.expr}").evidence == "nothing, which is as it should be while all is well; for Paged"
    assert day.outcome(f"query {PASTED.expr}") is PASS


def test_a_pasted_alert_without_a_number_is_not(day: DayOne) -> None:
    day.world.answers = {PASTED.expr: NoData("the value is NaN")}
    assert day.outcome(f"query {PASTED.expr}") is FAIL


def test_what_may_be_empty_for_one_may_not_for_all(day: DayOne) -> None:
    day.world.answers = {"genesis_error_rate": NOTHING}
    both = Trigger("Quiet", Threshold(ERRORS, None), ALL)
    day.rollout = replace(day.rollout, triggers=(*day.rollout.triggers, both))
    assert day.outcome(QUERY) is FAIL
    assert day.finding(QUERY).evidence.endswith("for error_rate, Errors, ErrorRateHigh, Quiet")


def test_a_signal_whose_rule_takes_no_data_for_clear_may_be_empty(day: DayOne) -> None:
    silent = replace(ERRORS, no_data=OnNoData.IGNORE)
    day.rollout = replace(day.rollout, signals=(silent,), gates=(), triggers=(Trigger("T", Threshold(silent, Condition(Op.ABOVE, 1)), ALL),))
    day.world.answers = {"genesis_error_rate": NOTHING}
    assert day.outcome(QUERY) is PASS


def test_every_query_is_asked_once_and_endpoints_are_none(day: DayOne) -> None:
    busy = Signal("latency", "p95", needs=Needs("traffic", 100), max_age=HOUR)
    health = Signal("health", "", endpoints=("http://127.0.0.1:8001/health",))
    quiet = Gate("NoTrigger", Signal("NoTrigger", ""), Condition(Op.AT_MOST, 0), ALL, quiet=frozenset({"Paged"}))
    day.rollout = replace(day.rollout, signals=(ERRORS, busy, health), gates=(*day.rollout.gates, quiet))
    day.findings()
    assert day.world.asked == [ANSWERS, "genesis_error_rate", "p95", "traffic", "timestamp(p95)", PASTED.expr]


def test_the_window_of_a_baseline_must_have_data(day: DayOne) -> None:
    cost = Signal("cost", "sum(cost)", baseline=Baseline(12 * HOUR, 6 * HOUR, timedelta(minutes=2)), relative=Relative.SHARE)
    day.rollout = replace(day.rollout, triggers=(Trigger("CostSpike", Threshold(cost, Condition(Op.ABOVE, 2)), ALL),))
    day.world.answers = {"avg_over_time((sum(cost))[12h:2m])": NOTHING}
    found = day.finding("query avg_over_time((sum(cost))[12h:2m])")
    assert (found.outcome, found.evidence.rpartition("; ")[2]) == (FAIL, "for baseline of cost")
    assert day.outcome("query count_over_time((sum(cost))[12h:2m])") is PASS


def test_a_query_of_many_lines_is_shown_in_one(day: DayOne) -> None:
    long = Signal("long", "sum(\n    rate(x[5m])\n)\n")
    day.rollout = replace(day.rollout, signals=(long,))
    assert day.outcome("query sum( rate(x[5m]) )") is PASS


# disks


def test_so_much_of_each_disk_must_be_free(day: DayOne) -> None:
    usage = shutil.disk_usage(day.folder)
    day.wants(disk_free=0.999999)
    found = day.finding("disk of the flags")
    assert found.outcome is FAIL
    percent = re.search(r"([\d.]+) % free", found.evidence)
    assert percent
    assert re.search(r"\([\d.]+ [KMGT]iB of [\d.]+ [KMGT]iB\)", found.evidence)
    assert float(percent[1]) == pytest.approx(usage.free / usage.total * 100, abs=2)
    assert found.evidence.endswith("at least 99.9999 % needed")
    day.wants(disk_free=usage.free / usage.total / 2)
    assert day.outcome("disk of the flags") is PASS


def test_two_files_on_one_disk_are_said_to_be(day: DayOne) -> None:
    day.wants(disk_free=1.0)
    assert day.finding("disk of the journal") == Finding("disk of the journal", FAIL, "the same as the disk of the flags")


def test_of_a_file_system_without_a_size_nothing_is_known(day: DayOne) -> None:
    day.journal = Path("/proc/journal.db")
    assert day.finding("disk of the journal") == Finding("disk of the journal", UNKNOWN, "/proc: the file system does not tell its size")


def test_a_journal_that_is_in_no_file_needs_no_disk(day: DayOne) -> None:
    assert [one.check for one in file_checks.disks(day.env, None, 0.0)] == ["disk of the flags"]


def test_of_a_disk_that_cannot_be_found_nothing_is_known(day: DayOne) -> None:
    day.journal = day.folder / "gone" / "journal.db"
    assert day.finding("disk of the journal") == Finding("disk of the journal", UNKNOWN, f"{day.folder}/gone: no such file or directory")


# flags


def test_the_flags_must_be_those_of_the_stage_on_record(day: DayOne) -> None:
    day.write(SPICE="true", SHARE="10")
    assert day.finding("flags", at("canary")) == Finding("flags", PASS, "those of canary")
    evidence = 'not those of half: SHARE is "10", must be "50"; these are those of canary'
    assert day.finding("flags", at("half")) == Finding("flags", FAIL, evidence)


def test_without_a_record_they_must_be_those_of_the_baseline(day: DayOne) -> None:
    assert day.finding("flags") == Finding("flags", PASS, "those of baseline")
    day.write(SPICE="yes", SHARE="0")
    assert day.finding("flags") == Finding("flags", FAIL, 'not those of baseline: SPICE is "yes", must be "false"')


def test_while_degraded_the_flags_are_those_and_the_degradation(day: DayOne) -> None:
    day.write(SPICE="false", SHARE="10")
    assert day.finding("flags", at("canary", degraded={"SPICE": "false"})) == Finding("flags", PASS, "those of canary, degraded")
    assert day.outcome("flags", at("canary")) is FAIL


def test_while_they_are_being_changed_nothing_is_known_of_the_flags(day: DayOne) -> None:
    under_way = Open("t1", Kind.PROMOTE, "baseline", "canary", {}, NOW, None, (), "ann")
    found = day.finding("flags", at("baseline", open=under_way))
    assert found == Finding("flags", UNKNOWN, "they are on their way to canary (promote); ask again when they are there")


def test_a_missing_key_is_named(day: DayOne) -> None:
    day.write(SPICE="false")
    assert day.finding("flag file") == Finding("flag file", FAIL, f"{day.env} lacks SHARE")
    assert day.finding("flags") == Finding("flags", FAIL, 'not those of baseline: SHARE is absent, must be "0"')


def test_a_file_with_every_key_passes(day: DayOne) -> None:
    assert day.finding("flag file") == Finding("flag file", PASS, f"{day.env} has all 2 keys")


def test_a_file_that_is_not_there_fails_and_nothing_is_known_of_its_flags(day: DayOne) -> None:
    day.env.unlink()
    found = day.finding("flag file")
    assert (found.outcome, day.outcome("flags")) == (FAIL, UNKNOWN)
    assert str(day.env) in found.evidence
    assert day.outcome("backup of the flags") is UNKNOWN


def test_a_folder_instead_of_the_file_fails(day: DayOne) -> None:
    day.env.unlink()
    day.env.mkdir()
    assert day.outcome("flag file") is FAIL


def test_links_in_a_loop_are_no_flag_file(day: DayOne) -> None:
    day.env.unlink()
    day.env.symlink_to(day.env.name)
    assert day.outcome("flag file") is FAIL


# replacing the flag file


def test_the_folder_must_be_writable(day: DayOne) -> None:
    assert day.finding("flag folder") == Finding("flag folder", PASS, f"{day.folder} can be written")


@contextmanager
def as_nobody() -> Iterator[None]:
    """Root may write everywhere; everybody else is left as they are."""
    user = os.geteuid()
    os.seteuid(user or 65534)
    try:
        yield
    finally:
        os.seteuid(user)


def test_a_folder_that_cannot_be_written_fails() -> None:
    with as_nobody():
        found, backup = file_checks.folder(Path("/etc/passwd")), file_checks.own_backup(Path("/etc/passwd"), NOW)
    assert (found.outcome, backup.outcome) == (FAIL, FAIL)
    assert found.evidence == "/etc cannot be written by this user; a flag file is replaced, not written in place"


def test_it_is_the_folder_of_the_file_itself_that_counts(day: DayOne) -> None:
    linked = day.folder / "config" / "flags.env"
    linked.parent.mkdir()
    linked.symlink_to(day.env)
    assert file_checks.folder(linked).evidence == f"{day.folder} can be written"


def test_a_folder_that_is_not_there_fails(day: DayOne) -> None:
    found = file_checks.folder(day.folder / "gone" / "flags.env")
    assert found == Finding("flag folder", FAIL, f"{day.folder}/gone is not there, or this user cannot see it; create it, or correct the path")


def test_a_file_that_is_a_mount_point_cannot_be_replaced(day: DayOne) -> None:
    mounts = day.folder / "mountinfo"
    env = day.folder / "with space.env"
    env.write_text("")
    place = str(env).replace(" ", "\\040")
    mounts.write_text(f"36 35 98:0 / {place} rw,noatime master:1 - ext3 /dev/root rw\n")
    assert file_checks.folder(day.env, mounts).outcome is PASS
    found = file_checks.folder(env, mounts)
    assert (found.outcome, found.evidence.rpartition("; ")[2]) == (FAIL, "mount the folder, not the file")
    assert file_checks.own_backup(env, NOW, mounts).outcome is FAIL


def test_where_the_kernel_lists_no_mounts_there_are_none(day: DayOne) -> None:
    assert file_checks.folder(day.env, day.folder / "no such list").outcome is PASS


# backups


def test_without_a_backup_it_must_be_possible_to_make_one(day: DayOne) -> None:
    evidence = f"none yet; one is made in {day.folder} before the first change"
    assert day.finding("backup of the flags") == Finding("backup of the flags", PASS, evidence)


def test_the_newest_of_our_own_backups_is_named(day: DayOne) -> None:
    old, new = day.backup("first"), day.backup("second")
    os.utime(old, (0, 0))
    os.utime(new, ((NOW - 2 * HOUR).timestamp(),) * 2)
    aged(day.folder / ".env.production.bak", timedelta())
    assert day.finding("backup of the flags") == Finding("backup of the flags", PASS, f"{new}, 2h old")


@pytest.mark.parametrize(
    ("ages", "outcome", "evidence"),
    [
        ({"a.dump": 30 * HOUR, "b.dump": 23 * HOUR}, PASS, "the newest is {folder}/b.dump, 23h old"),
        ({"a.dump": 30 * HOUR}, FAIL, "the newest is {folder}/a.dump, 1d6h old; must be at most 1d"),
        ({"other.txt": timedelta()}, FAIL, "there is no such file that this user can see"),
        ({}, FAIL, "there is no such file that this user can see"),
        ({"a.dump": -HOUR}, UNKNOWN, "the newest is {folder}/a.dump, 1h in the future; the clocks disagree"),
        ({"a.dump": timedelta(seconds=-10)}, PASS, "the newest is {folder}/a.dump, 10s in the future"),
    ],
)
def test_the_newest_backup_must_be_young_enough(day: DayOne, ages: Mapping[str, timedelta], outcome: Outcome, evidence: str) -> None:
    folder = day.folder / "backups"
    for name, age in ages.items():
        aged(folder / name, age)
    pattern = f"{folder}/*.dump"
    day.wants(backups=(Backups(pattern, 24 * HOUR),))
    assert day.finding(f"backup {pattern}") == Finding(f"backup {pattern}", outcome, evidence.format(folder=folder))


def test_an_empty_backup_is_none(day: DayOne) -> None:
    file = aged(day.folder / "a.dump", HOUR, content="")
    found = file_checks.backups(Backups(str(file), 24 * HOUR), NOW)
    assert (found.outcome, found.evidence) == (FAIL, f"the newest is {file}, 1h old, and empty")


def test_backups_are_looked_for_in_folders_below_and_folders_are_none(day: DayOne) -> None:
    file = aged(day.folder / "backups" / "monday" / "db" / "a.dump", HOUR)
    assert str(file) in file_checks.backups(Backups(f"{day.folder}/backups/**", 24 * HOUR), NOW).evidence
    assert file_checks.backups(Backups(f"{day.folder}/backups/*", 24 * HOUR), NOW).outcome is FAIL


# alert rules and alertmanagers


def rules(*healths: str) -> list[AlertingRule]:
    return [AlertingRule("HighErrorRate", f"group {number}", health, "division" if health == "err" else "") for number, health in enumerate(healths)]


@pytest.mark.parametrize(
    ("loaded", "outcome", "evidence"),
    [
        (rules("ok"), PASS, 'is loaded and healthy (group "group 0")'),
        (rules("ok", "err"), FAIL, 'is loaded, but its evaluation fails: division (group "group 1")'),
        (rules("ok", "unknown"), UNKNOWN, 'is loaded, and was not evaluated yet (group "group 0")'),
        ([], FAIL, "is not loaded; no alerting rule is"),
        ([AlertingRule("HighErorRate", "g", "ok")], FAIL, 'is not loaded; there is "HighErorRate"'),
        ([AlertingRule("DiskFull", "g", "ok")], FAIL, "is not loaded; 1 other is"),
        (AWAY, UNKNOWN, f"the rules cannot be listed: {AWAY.why}"),
    ],
)
def test_an_alert_rule_must_be_loaded_and_healthy(day: DayOne, loaded: list[AlertingRule] | Failed, outcome: Outcome, evidence: str) -> None:
    day.wants(alert_rules=("HighErrorRate",))
    day.world.rules = loaded
    assert day.finding("alert rule HighErrorRate") == Finding("alert rule HighErrorRate", outcome, evidence)


def test_one_alertmanager_is_enough(day: DayOne) -> None:
    day.world.alertmanagers = {"http://a:9093": "connection refused", "http://b:9093": ""}
    assert day.finding("alertmanager") == Finding("alertmanager", PASS, "http://b:9093 answers; http://a:9093: connection refused")


def test_no_alertmanager_that_answers_is_a_fail_and_none_configured_is_nothing(day: DayOne) -> None:
    day.world.alertmanagers = {"http://a:9093": "connection refused", "http://b:9093": "answered 503"}
    assert day.finding("alertmanager") == Finding("alertmanager", FAIL, "http://a:9093: connection refused; http://b:9093: answered 503")
    day.world.alertmanagers = {}
    assert "alertmanager" not in [one.check for one in day.findings()]
