"""What `check` says of a rollout that is valid: how it is understood, and what tends to go wrong."""

from datetime import timedelta
from pathlib import Path

import pytest

from rollback_daemon.rules.advice import understood, warnings
from rollback_daemon.rules.load import load

RULES = Path(__file__).parents[2] / "rules"
DRY = "which is only said and not done (dry_run)"
ONLY = "known are the value and labels, humanized or printf"
BASE = """\
rollout: demo
owner: team-shop
mode: enforce
flags: {store: dotenv, path: .env}
baseline: {USE_X: "false"}
stages:
  - {stage: canary, exposure: 10%, set: {USE_X: "true"}, soak: 1h}
  - {stage: half, exposure: 50%, set: {USE_X: "true"}, soak: 10m}
signals:
  errors: {expr: error_ratio}
"""
PAGED = "  - {alert: Paged, signal: errors, above: 1%, severity: critical}\n"


def said(folder: Path, trigger: str = "", *, base: str = BASE, scrape_interval: timedelta | None = None, paged: str = PAGED) -> list[str]:
    """The warnings about the base file with one trigger more, without the name of the file."""
    (folder / "demo.yml").write_text(f"{base}triggers:\n{paged}{f'  - {{{trigger}}}' if trigger else ''}\n", encoding="utf-8")
    rollout = load(folder / "demo.yml")
    return [str(warning).removeprefix(f"{folder}/demo.yml:") for warning in warnings(rollout, scrape_interval)]


def how(folder: Path, trigger: str, *, base: str = BASE) -> str:
    """How one trigger is understood."""
    (folder / "demo.yml").write_text(f"{base}triggers:\n  - {{{trigger}}}\n", encoding="utf-8")
    (line,) = understood(load(folder / "demo.yml"))
    return line


# how it is understood


@pytest.mark.parametrize(
    ("trigger", "line"),
    [
        ("alert: A, signal: errors, above: 1%", "A: errors > 0.01, at once; rollback to previous at every stage"),
        (
            "alert: A, signal: errors, above: 1%, for: 5m, keep_firing_for: 1m, initial_delay: 2m, action: {rollback: baseline}, stages: [half]",
            "A: errors > 0.01 for 5m, kept firing for 1m, not before 2m at a stage; rollback to baseline at half",
        ),
        ("alert: A, expr: 'rate(x[5m]) > 2', for: 2m, action: hold", "A: `rate(x[5m])` > 2, told apart from no data for 2m; hold at every stage"),
        ("alert: A, expr: 'a > b', action: alert", "A: as Prometheus does, every result of `a > b` is a breach, at once; alert at every stage"),
        (
            "alert: A, expr: max(q), outside: [0, 5]",
            "A: `max(q)` outside [0, 5], told apart from no data, at once; rollback to previous at every stage",
        ),
        (
            "alert: A, violations: {signal: errors, above: 1%, at_least: 3, out_of: 5, every: 1m}, dry_run: true",
            f"A: violations of errors > 0.01 (out of the last 5, one each 1m) >= 3, at once; rollback to previous at every stage, {DRY}",
        ),
        (
            "alert: A, signal: errors, above: 1%, no_data: breach, stages: [baseline, canary, half]",
            "A: errors > 0.01, at once; rollback to previous at baseline, canary, half",
        ),
    ],
)
def test_one_line_says_how_a_trigger_is_understood(tmp_path: Path, trigger: str, line: str) -> None:
    assert how(tmp_path, trigger) == line


def test_what_is_only_observed_is_said_to_be(tmp_path: Path) -> None:
    line = how(tmp_path, "alert: A, signal: errors, above: 1%", base=BASE.replace("enforce", "observe"))
    assert line.endswith("which is only said and not done (mode: observe)")


WANTED = [
    "GO as 2 of 3: a, b, c (within 1d)",
    "evidence soak-report of the present stage",
    "evidence parity of the last 1w",
    "a rollback rehearsed in the last 1w",
]
CLIMB = """\
rollout: demo
owner: team-shop
flags: {store: json, path: flags.json}
baseline: {/x: false}
promote: automatic
stages:
  - {stage: canary, exposure: 10%, set: {/x: true}, promote: manual, requires: {checkpoints: [hour-24, hour-48]}}
  - stage: half
    exposure: 50%
    set: {/x: true}
    requires:
      approvals: {roles: [a, b, c], quorum: 2 of 3}
      evidence: [soak-report, {evidence: parity, within: 7d}]
      rehearsal: {within: 7d}
  - {stage: full, exposure: 100%, set: {/x: true}, promote: manual}
signals:
  health: {http: ['http://127.0.0.1:1/', 'http://127.0.0.1:2/']}
  cost: {expr: cost, baseline: {window: 12h}}
gates:
  - {gate: Cost, signal: cost, below: 120%, relative_to: baseline}
  - {gate: Health, signal: health, at_least: 1 of 2, for: 1h}
  - {gate: Mostly, signal: cost, below: 5, share: 99%, min_data: 6h, stages: [canary, half]}
  - {gate: OfLate, signal: cost, below: 5, share: 99%, for: 30m, blocking: false}
  - {gate: Quiet, triggers: all}
triggers:
  - {alert: Spike, signal: cost, above: 200%, relative_to: baseline, severity: critical}
  - {alert: Grows, signal: cost, above: 3, relative_to: baseline, action: {degrade: {/x: false}}}
rehearsal: {steps: [{command: [./smoke.sh]}]}
"""


def test_gates_and_what_a_stage_asks_for_have_a_line_each(tmp_path: Path) -> None:
    configured = CLIMB.replace("promote: manual}\n", "promote: manual, requires: {config: {/mode: live, /limit: 3}}}\n")
    (tmp_path / "demo.yml").write_text(configured, encoding="utf-8")
    assert understood(load(tmp_path / "demo.yml")) == [
        "Spike: cost / its baseline > 2, at once; rollback to previous at every stage",
        "Grows: cost - its baseline > 3, at once; degrade (/x) at every stage",
        "Cost: cost / its baseline < 1.2; gate of canary, half, full",
        "Health: health >= 1 on 1 of 2 for 1h without a break; gate of every stage",
        "Mostly: cost < 5 in 99% of the evaluations of the whole stage, seen for 6h at the stage; gate of canary, half",
        "OfLate: cost < 5 in 99% of the evaluations of the last 30m; gate of every stage, which is only reported and blocks nothing",
        "Quiet: none of Grows, Spike has fired since the stage began; gate of every stage",
        "canary: promoted by hand; needs checkpoints hour-24, hour-48",
        f"half: promoted automatically; needs {'; '.join(WANTED)}",
        'full: promoted by hand; needs config /mode "live", before and while it is there; config /limit 3, before and while it is there',
    ]
    assert warnings(load(tmp_path / "demo.yml"), timedelta(seconds=15)) == []


AFTER = """\
verify:
  - {http: 'http://probe:secret@127.0.0.1:8000/health?key=secret', expect: {/x: false, /mode: lesser}, timeout: 1m, stages: [canary, baseline]}
  - {http: 'http://127.0.0.1:8000/'}
  - {command: [./smoke.sh, --fast], timeout: 2m, env: {TOKEN: secret}}
  - {signals: gates, for: 1h}
  - {signals: [Cost, Health], for: 10m, within: 30m}
  - {log: /var/log/app.log, without: ERROR}
ways_back: [flags, backup, {command: [pip, install, x==1]}, {then: {rollback: previous}}, {then: {rollback: baseline, after: 5m}}]
cooldown: 1h
max_rollbacks: {count: 2, in: 24h}
resume: {requires: postmortem}
escalation: [ticket, lead, {rollback: previous, in: 30m}]
hooks:
  - {hook: Ticket, on: [gate_failed], command: [./ticket.sh, secret]}
  - {hook: Chat, on: [verified, frozen], http: 'https://hooks.example.com/secret', secret_file: chat.key}
follow_up: {checks: [{command: [./smoke.sh]}]}
"""


def test_what_follows_a_rollback_has_a_line_for_each_part_and_no_secret(tmp_path: Path) -> None:
    rules = CLIMB.replace("action: {degrade: {/x: false}}", "escalate_after: 1h, action: {degrade: {/x: false}, until: clear for 10m}")
    rules = rules.replace(
        "relative_to: baseline, severity: critical", "relative_to: baseline, severity: critical, action: {rollback: previous, in: 30m}"
    )
    (tmp_path / "demo.yml").write_text(rules + AFTER, encoding="utf-8")
    rollout = load(tmp_path / "demo.yml")
    lines = understood(rollout)
    assert lines[:2] == [
        "Spike: cost / its baseline > 2, at once; rollback to previous in 30m at every stage",
        "Grows: cost - its baseline > 3, at once; degrade (/x) until clear for 10m at every stage",
    ]
    steps = [
        "the flags are read back",
        'GET http://127.0.0.1:8000/health says /x false, /mode "lesser" within 1m (only at baseline, canary)',
        "GET http://127.0.0.1:8000/ is answered with 2xx within 10s",
        f"{tmp_path}/smoke.sh --fast succeeds within 2m",
        "every blocking gate passes for 1h without a break, within 2h",
        "Cost, Health pass for 10m without a break, within 30m",
        'log /var/log/app.log has no line with "ERROR"',
    ]
    ways = ["the flags are set", "the backup of the flag file is put back", "pip install x==1 is run", "rollback to the stage below"]
    most = "at most 2 rollbacks by triggers in 1d, the last to the baseline, where it is frozen"
    checks = ["every gate passes and no trigger fires", f"{tmp_path}/smoke.sh succeeds within 1m"]
    limits = ["no promotion for 1h after a rollback", most, "to resume takes a completed post-mortem"]
    assert lines[9:] == [
        f"verification: {'; '.join(steps)}",
        f"ways back: {', then '.join(ways)}, then rollback to baseline after 5m",
        f"limits: {'; '.join(limits)}",
        "escalation: ticket, then lead, then rollback to previous announced for 30m ahead; of Grows (each 1h)",
        f"hook Ticket: runs {tmp_path}/ticket.sh on gate_failed",
        "hook Chat: signed call to hooks.example.com on frozen, verified",
        f"follow-ups: 1d, 1w, 30d after completion: {'; '.join(checks)}; then a person decides",
    ]
    assert not [line for line in lines if "secret" in line]
    assert warnings(rollout, timedelta(seconds=15)) == []


# what tends to go wrong


def test_what_follows_a_rollback_and_can_never_come_about(tmp_path: Path) -> None:
    more = """\
ways_back: [flags, backup]
max_rollbacks: {count: 1, in: 1h}
escalation: [ticket]
hooks:
  - {hook: A, on: [rolled_back, verified, frozen, escalated, gate_failed, degraded, rollback_scheduled], command: [./a]}
  - {hook: B, on: [rehearsal_failed, follow_up_failed, held], command: [./b]}
"""
    base = more + BASE
    assert said(tmp_path, "alert: A, signal: errors, above: 1%, action: alert", base=base, paged=PAGED.replace("above", "action: hold, above")) == [
        "1:12: ways_back: without verify only the flags are read back, and another way back is hardly ever taken; add verify",
        "2:16: max_rollbacks: no trigger rolls back, so that there is nothing to count",
        "3:13: escalation: no trigger has escalate_after, so that none climbs these levels; add it to one",
        "5:19: hooks[0].on: there is never degraded here: the file has no trigger that degrades",
        "5:19: hooks[0].on: there is never escalated here: the file has no trigger with escalate_after",
        "5:19: hooks[0].on: there is never gate_failed here: the file has no blocking gate about a signal",
        "5:19: hooks[0].on: there is never rollback_scheduled here: the file has no rollback that is announced",
        "6:19: hooks[1].on: there is never follow_up_failed here: the file has no follow_up",
        "6:19: hooks[1].on: there is never rehearsal_failed here: the file has no rehearsal",
        "18:3: triggers: none rolls back; if only watching is meant, say mode: observe",
    ]


VERIFIED = (
    BASE
    + """\
gates:
  - {gate: Errors, signal: errors, below: 1%}
verify:
"""
)
HEALTH = "http: 'http://127.0.0.1:8000/health', expect: {/x: false}"
ONCE = "is scanned at once, before anything is written to it; put it after the signals of verify[1]"
EVERYWHERE = "expects the same values wherever a rollback ends (baseline, canary); say where they are so, for instance stages: [baseline]"


@pytest.mark.parametrize(
    ("steps", "warned"),
    [
        (["log: app.log, without: E", "signals: gates, for: 1h"], [f"14:5: verify[0]: {ONCE}"]),
        (["signals: gates, for: 1h", "log: app.log, without: E"], []),
        (["log: app.log, without: E, stages: [baseline]", "signals: gates, for: 1h"], [f"14:5: verify[0]: {ONCE}"]),
        (["log: app.log, without: E, stages: [baseline]", "signals: gates, for: 1h, stages: [canary]"], []),
        (["log: app.log, without: E", "command: ['true']"], []),
        ([HEALTH], [f"14:5: verify[0]: {EVERYWHERE}"]),
        ([f"{HEALTH}, stages: [baseline]"], []),
        (["http: 'http://127.0.0.1:8000/health'"], []),
    ],
)
def test_a_verification_that_says_less_than_was_meant_or_cannot_pass(tmp_path: Path, steps: list[str], warned: list[str]) -> None:
    written = "".join(f"  - {{{step}}}\n" for step in steps)
    assert said(tmp_path, base=VERIFIED + written) == warned


def test_with_one_stage_there_is_one_end_of_a_rollback(tmp_path: Path) -> None:
    base = VERIFIED.replace('  - {stage: half, exposure: 50%, set: {USE_X: "true"}, soak: 10m}\n', "")
    assert said(tmp_path, base=f"{base}  - {{{HEALTH}}}\n") == []


def test_an_escalation_that_has_nothing_to_wait_for(tmp_path: Path) -> None:
    assert said(tmp_path, "alert: A, signal: errors, above: 1%, escalate_after: 1h") == [
        "13:59: triggers[1].escalate_after: is about what goes on for long, and this trigger rolls back at once; give it to one that does not"
    ]
    assert said(tmp_path, "alert: A, signal: errors, above: 1%, escalate_after: 1h, dry_run: true") == [
        "13:59: triggers[1].escalate_after: has no effect on a dry run, of which nobody is told"
    ]
    assert said(tmp_path, "alert: A, signal: errors, above: 1%, escalate_after: 1h, action: {rollback: previous, in: 5m}") == []


def test_a_multiple_of_the_baseline_that_was_most_likely_meant_as_an_increase(tmp_path: Path) -> None:
    base = f"{BASE}  cost: {{expr: cost, baseline: {{window: 12h}}}}\n"
    assert said(tmp_path, "alert: A, signal: cost, above: 10%, relative_to: baseline", base=base) == [
        "14:37: triggers[1].above: 10% of the baseline is less than it, so that being as before is a breach; for 10% over it write 110%"
    ]
    assert said(tmp_path, "alert: A, signal: cost, below: 10%, relative_to: baseline", base=base) == []
    assert said(tmp_path, "alert: A, signal: cost, above: 0.5, relative_to: baseline", base=base) == []


@pytest.mark.parametrize("name", ["spice-pipelex", "victor-coordinators", "assistant-v3", "ringrift-orchestrator"])
def test_the_rule_files_that_are_delivered_have_nothing_to_warn_of(name: str) -> None:
    assert warnings(load(RULES / f"{name}.yml"), timedelta(seconds=15)) == []


def test_nothing_is_said_of_what_is_well(tmp_path: Path) -> None:
    assert said(tmp_path, scrape_interval=timedelta(seconds=15)) == []


def test_a_ratio_without_needs(tmp_path: Path) -> None:
    base = f"{BASE}  ratio: {{expr: 100 * sum(a) / sum(b)}}\n  enough: {{expr: a / b, needs: {{expr: b, at_least: 5}}}}\n"
    assert said(tmp_path, base=base) == [
        "11:17: signals.ratio.expr: is a ratio, and with little traffic a ratio can be anything; add needs: {expr: …, at_least: …}"
    ]
    assert said(tmp_path, "alert: A, expr: a / b > 0.05") == [
        "13:22: triggers[1].expr: is a ratio, and with little traffic a ratio can be anything; make it a signal with needs: {expr: …, at_least: …}"
    ]


def test_a_rate_over_less_than_four_scrapes(tmp_path: Path) -> None:
    base = f"{BASE}  rate: {{expr: 'rate(x[59s])', needs: {{expr: 'increase(y[30s])', at_least: 5}}}}\n"
    trigger = "alert: A, expr: 'irate(z[1m]) > 5'"
    assert said(tmp_path, trigger, base=base, scrape_interval=timedelta(seconds=15)) == [
        "11:16: signals.rate.expr: the range [59s] is under four scrapes of 15s; a lost scrape empties it, use [1m]",
        "11:46: signals.rate.needs.expr: the range [30s] is under four scrapes of 15s; a lost scrape empties it, use [1m]",
    ]
    assert len(said(tmp_path, trigger, base=base, scrape_interval=timedelta(minutes=1))) == 3
    assert said(tmp_path, trigger, base=base) == []


def test_a_trigger_that_no_stage_arms(tmp_path: Path) -> None:
    assert said(tmp_path, "alert: A, signal: errors, above: 1%, stages: [baseline]") == [
        "13:51: triggers[1].stages: is armed at no stage above the baseline, where alone its action means anything; name a stage"
    ]
    assert said(tmp_path, "alert: A, signal: errors, above: 1%, stages: [baseline], action: alert") == []


def test_a_for_longer_than_the_soak_of_a_stage(tmp_path: Path) -> None:
    text = "is longer than the soak of half (10m), which may be over before it fires"
    assert said(tmp_path, "alert: A, signal: errors, above: 1%, for: 11m") == [f"13:48: triggers[1].for: {text}"]
    assert said(tmp_path, "alert: A, signal: errors, above: 1%, initial_delay: 11m") == [f"13:58: triggers[1].initial_delay: {text}"]
    assert said(tmp_path, "alert: A, signal: errors, above: 1%, for: 6m, initial_delay: 6m") == [
        "13:48: triggers[1].for: for and initial_delay are longer than the soak of half (10m), which may be over before it fires"
    ]
    assert said(tmp_path, "alert: A, signal: errors, above: 1%, for: 11m, stages: [canary]") == []
    assert said(tmp_path, "alert: A, signal: errors, above: 1%, for: 10m") == []


def test_a_for_shorter_than_the_interval(tmp_path: Path) -> None:
    assert said(tmp_path, "alert: A, signal: errors, above: 1%, for: 14s") == [
        "13:48: triggers[1].for: is shorter than the interval, so that it fires at the second breach in a row, 15s after the first"
    ]
    assert said(tmp_path, "alert: A, signal: errors, above: 1%, for: 15s") == []


def test_an_alert_that_compares_nothing(tmp_path: Path) -> None:
    assert said(tmp_path, "alert: A, expr: 'rate(x[5m])'") == [
        "13:22: triggers[1].expr: compares nothing, so every result is a breach, even 0; add a comparison, or a limit such as above: 0"
    ]
    assert said(tmp_path, "alert: A, expr: absent(x)") == []
    assert said(tmp_path, "alert: A, expr: x > y") == []
    assert said(tmp_path, "alert: A, expr: 'x > bool 5'") == [
        "13:22: triggers[1].expr: compares nothing, so every result is a breach, even 0; add a comparison, or a limit such as above: 0"
    ]


def test_a_signal_that_compares_by_itself(tmp_path: Path) -> None:
    text = "leaves out series because of their values, and what it leaves out is no data here; compare by a limit alone"
    assert said(tmp_path, base=f"{BASE}  odd: {{expr: x > 5}}\n") == [f"11:15: signals.odd.expr: {text}"]
    assert said(tmp_path, "alert: A, expr: x > 5, above: 7") == [f"13:22: triggers[1].expr: {text}"]
    assert said(tmp_path, base=f"{BASE}gates:\n  - {{gate: G, expr: x > 5, above: 3}}\n") == [f"12:21: gates[0].expr: {text}"]


def test_a_template_that_is_not_known(tmp_path: Path) -> None:
    trigger = (
        "alert: A, signal: errors, above: 1%, labels: {a: '{{ $externalLabels.b }}'}, annotations: {c: '{{ $value }} {{ query `up` }} {{ end }}'}"
    )
    assert said(tmp_path, trigger) == [
        f"13:55: triggers[1].labels.a: has a template that stays as it is: {{{{ $externalLabels.b }}}}; {ONLY}",
        f"13:100: triggers[1].annotations.c: has a template that stays as it is: {{{{ end }}}}; {ONLY}",
        f"13:100: triggers[1].annotations.c: has a template that stays as it is: {{{{ query `up` }}}}; {ONLY}",
    ]


def test_no_critical_trigger(tmp_path: Path) -> None:
    assert said(tmp_path, "alert: A, signal: errors, above: 1%", paged="") == [
        "12:3: triggers: none is critical, so that nobody may be paged; give one severity: critical"
    ]
    assert said(tmp_path, "alert: A, signal: errors, above: 1%, labels: {severity: critical}", paged="") == []


@pytest.mark.parametrize("action", ["action: alert", "action: hold", "dry_run: true"])
def test_a_rollout_that_is_never_rolled_back(tmp_path: Path, action: str) -> None:
    trigger = f"alert: A, signal: errors, above: 1%, severity: critical, {action}"
    assert said(tmp_path, trigger, paged="") == ["12:3: triggers: none rolls back; if only watching is meant, say mode: observe"]
    assert said(tmp_path, trigger, paged="", base=BASE.replace("enforce", "observe")) == []


def test_a_rollback_to_a_stage_that_is_not_lower(tmp_path: Path) -> None:
    assert said(tmp_path, "alert: A, signal: errors, above: 1%, action: {rollback: canary}") == [
        '13:62: triggers[1].action.rollback: "canary" is not below canary, and a rollback never raises: there the rollout is only held'
    ]
    assert said(tmp_path, "alert: A, signal: errors, above: 1%, action: {rollback: canary}, stages: [half]") == []


def test_warnings_are_in_the_order_of_the_file(tmp_path: Path) -> None:
    base = f"{BASE}  ratio: {{expr: a / b}}\n"
    lines = [int(warning.split(":")[0]) for warning in said(tmp_path, "alert: A, expr: x, for: 1s", base=base, paged="")]
    assert lines == sorted(lines)
    assert len(lines) == 4


@pytest.mark.parametrize(("limit", "warned"), [("5", True), ("1", True), ("5%", False), ("0.99", False)])
def test_a_share_of_a_whole_that_should_exceed_one_was_most_likely_meant_in_percent(tmp_path: Path, limit: str, warned: bool) -> None:
    share = "sum(rate(http_total{code='500'}[5m])) / sum(rate(http_total[5m]))"
    lines = said(tmp_path, f'alert: A, expr: "{share}", above: {limit}')
    assert any("a share of a whole is hardly ever" in line for line in lines) is warned


def test_what_an_import_could_not_know_has_still_to_be_written(tmp_path: Path) -> None:
    found = said(tmp_path, base=BASE.replace("team-shop", "FILL-IN").replace("USE_X", "FILL-IN").replace("dotenv", "json"))
    assert [line.partition(": FILL-IN has still")[0] for line in found[:2]] == ["2:8: owner", "5:21: baseline.FILL-IN"]
