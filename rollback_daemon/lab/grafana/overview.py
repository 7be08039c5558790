"""The dashboard of all rollouts: what needs a person, each of them in a line, what fires, and how all that came about."""

from grafana_foundation_sdk.models.dashboard import Dashboard

from rollback_daemon.lab.grafana.asking import ALL, ask, counted, numbered, of_owner, series
from rollback_daemon.lab.grafana.board import OVERVIEW, ROLLOUT, Board, Places
from rollback_daemon.lab.grafana.parts import Layout, Panel, bands, column, figure, lines, rows
from rollback_daemon.lab.grafana.states import BAD, CALM, GOOD, MOVING, NONE_IS_GOOD, PHASES, TRIGGERS, WARN, WORST, both, steps

_ONE = f"/d/{ROLLOUT}?${{datasource:queryparam}}&${{job:queryparam}}&var-rollout=${{__value.raw}}&${{__url_time_range}}"
_NONE_IS_CALM = steps((-1e18, CALM), (0.5, WARN))
_TO_ONE = column("Rollout", links=[{"title": "Open this rollout", "url": _ONE}], width=240)
_PHASE = numbered("rollout_phase", "phase", PHASES, rollout=ALL)
_TRIGGER = numbered("trigger_phase", "phase", TRIGGERS, rollout=ALL)


def overview(places: Places) -> Dashboard:
    """All rollouts."""
    board = Board(OVERVIEW, "rollbackd: all rollouts", "Every rollout under guard, and what needs a person.", places)
    board.choice("owner", "Owner", "Who owns the rollouts.", 'label_values(rollback_daemon_rollout_info{job="$job"}, owner)', several=True)
    query = 'label_values(rollback_daemon_rollout_info{job="$job",owner=~"$owner"}, rollout)'
    board.choice("rollout", "Rollout", "Rollouts to be shown.", query, several=True)
    board.link("Page of the guard", "${page}", "external link", "The live page, where a rollout is rolled back, held, resumed or promoted")
    board.marks(ALL)
    board.row("What needs a person", *_figures())
    board.row("Each rollout", _each(), _triggers())
    board.row("How it came about", *_over_time())
    return board.build()


def _all(metric: str, /, **labels: str) -> str:
    """The largest of what the daemons say of each rollout; more than one speaks only while one takes over from another."""
    return f"max by (rollout) {of_owner(series(metric, rollout=ALL, **labels))}"


def _figures() -> list[Panel]:
    firing = f"sum(max by (rollout, alert) {of_owner(series('trigger_phase', rollout=ALL, phase='firing'))})"
    unreadable = f"sum(1 - min by (rollout) {of_owner(series('flags_readable', rollout=ALL))})"
    return [
        figure(
            "Guards that answer",
            "Daemons that answer Prometheus. Without one nobody takes anything back.",
            f"sum({series('up')})",
            steps=steps((-1e18, WORST), (0.5, GOOD)),
        ),
        figure("Under guard", "Rollouts that a daemon guards.", f"count({_all('rollout_info')})"),
        figure("Exposed", "Rollouts of which some traffic sees the new side.", f"sum({_all('rollout_exposure_ratio')} > bool 0)"),
        figure(
            "Rolled back or failing",
            "Rolled back, frozen, being rolled back, or a rollback that does not succeed.",
            f"sum({_all('rollout_phase', phase='~rolling_back|rolled_back|frozen|failed')})",
            steps=NONE_IS_GOOD,
        ),
        figure("Triggers firing", "Triggers that fire, those that only alert among them.", firing, steps=NONE_IS_GOOD),
        figure(
            "Blind",
            "Rollouts with an armed trigger that has seen nothing for max_gap: they would not be rolled back.",
            f"sum({_all('blind')})",
            steps=NONE_IS_GOOD,
        ),
        figure(
            "Drifted", "Rollouts whose flags are not those of their stage: somebody else changed them.", f"sum({_all('drift')})", steps=NONE_IS_GOOD
        ),
        figure("Flags unreadable", "Rollouts whose flags could not be read at the last look.", unreadable, steps=NONE_IS_GOOD),
        figure("Held", "Rollouts that somebody or something holds: no way up.", f"sum({_all('rollout_phase', phase='held')})", steps=_NONE_IS_CALM),
        figure("Degraded", "Rollouts whose flags are set to a lesser service.", f"sum({_all('degraded')})", steps=_NONE_IS_CALM),
        figure("Past the gates", "Rollouts whose present stage was promoted to by break-glass.", f"sum({_all('break_glass')})", steps=_NONE_IS_CALM),
        figure(
            "Rollbacks announced",
            "Rollouts that will be taken back unless it eases or a person cancels it.",
            f"sum({_all('scheduled_rollback_timestamp_seconds')} > bool 0)",
            steps=_NONE_IS_CALM,
        ),
    ]


def _each() -> Panel:
    asked = [
        ask(f"max by (rollout, owner, runbook_url) {of_owner(series('rollout_info', rollout=ALL))}", ref="info", table=True),
        ask(f"max by (rollout) {of_owner(_PHASE)}", ref="phase", table=True),
        ask(f"max by (rollout, stage) ({of_owner(series('rollout_stage', rollout=ALL))} == 1)", ref="stage", table=True),
        ask(_all("rollout_exposure_ratio"), ref="exposure", table=True),
        ask(f"sum by (rollout) (max by (rollout, alert) {of_owner(series('trigger_phase', rollout=ALL, phase='firing'))})", ref="firing", table=True),
        ask(_all("blind"), ref="blind", table=True),
        ask(_all("drift"), ref="drift", table=True),
        ask(f"sum by (rollout) (1 - min by (rollout, check) {of_owner(series('check_passing', rollout=ALL))})", ref="missing", table=True),
        ask(f"min by (rollout) {of_owner(series('check_passing', rollout=ALL, check='~evidence .+'))}", ref="evidence", table=True),
        ask(_all("readiness_score"), ref="score", table=True),
        ask(_all("soaked_seconds"), ref="soaked", table=True),
        ask(_all("rollout_enforced"), ref="enforced", table=True),
    ]
    names = {
        "rollout": "Rollout",
        "Value #phase": "Phase",
        "stage": "Stage",
        "Value #exposure": "Exposure",
        "Value #firing": "Firing",
        "Value #blind": "Sight",
        "Value #drift": "Flags",
        "Value #missing": "Missing for the next stage",
        "Value #evidence": "Evidence",
        "Value #score": "Readiness",
        "Value #soaked": "Soaked",
        "Value #enforced": "Mode",
        "owner": "Owner",
        "runbook_url": "Runbook",
    }
    columns = [
        _TO_ONE,
        column("Phase", states=PHASES),
        column("Exposure", unit="percentunit"),
        column("Firing", thresholds=NONE_IS_GOOD),
        column("Sight", states=both("sees", "BLIND", (GOOD, BAD))),
        column("Flags", states=both("as on record", "DRIFTED", (GOOD, BAD))),
        column("Missing for the next stage", thresholds=steps((-1e18, GOOD), (0.5, WARN))),
        column("Evidence", states=both("missing or too old", "valid", (WARN, GOOD))),
        column("Soaked", unit="s"),
        column("Mode", states=both("observes only", "enforces", (WARN, CALM))),
        column("Runbook", links=[{"title": "Open the runbook", "url": "${__value.raw}", "targetBlank": True}]),
    ]
    text = (
        "A line for each rollout, what needs a person first. Missing: what the next stage asks for (evidence, approvals, gates) and is not there; "
        "what is unknown is not counted. An empty field is not known."
    )
    return rows("Rollouts", text, asked, Layout(names, columns, ["Value #info", "Value #stage"], "Phase"), nothing="No data")


def _triggers() -> Panel:
    asked = [
        ask(f"max by (rollout, alert) {of_owner(_TRIGGER)}", ref="phase", table=True),
        ask(f"max by (rollout, alert) {of_owner(series('trigger_value', rollout=ALL))}", ref="value", table=True),
        ask(f"max by (rollout, alert) {of_owner(series('trigger_limit', rollout=ALL))}", ref="limit", table=True),
        ask(f"max by (rollout, alert) {of_owner(series('trigger_armed', rollout=ALL))}", ref="armed", table=True),
    ]
    names = {
        "rollout": "Rollout",
        "alert": "Trigger",
        "Value #phase": "Phase",
        "Value #value": "Value",
        "Value #limit": "Limit",
        "Value #armed": "Armed",
    }
    columns = [_TO_ONE, column("Phase", states=TRIGGERS), column("Armed", states=both("not at this stage", "armed", (CALM, MOVING)))]
    text = "Every trigger with its value beside its limit, firing ones first. An empty value is not known: neither well nor a breach."
    return rows("Triggers", text, asked, Layout(names, columns, sort="Phase"), nothing="No data")


def _over_time() -> list[Panel]:
    blind = ask(f"sum({_all('blind')})", "blind")
    firing = ask(f"sum(max by (rollout, alert) {of_owner(series('trigger_phase', rollout=ALL, phase='firing'))})", "firing", "B")
    drifted = ask(f"sum({_all('drift')})", "drifted", "C")
    transitions = ask(counted("transitions_total", "kind, outcome", "$__rate_interval", rollout=ALL), "{{kind}} {{outcome}}")
    return [
        bands(
            "Phases",
            "Where each rollout was in its life; a gap is time in which nothing was known.",
            f"max by (rollout) {of_owner(_PHASE)}",
            "{{rollout}}",
            PHASES,
            height=10,
        ),
        lines(
            "Exposure",
            "Share of traffic exposed at the stage on record; the 50 rollouts that are exposed most.",
            [ask(f"topk(50, {_all('rollout_exposure_ratio')})", "{{rollout}}")],
            unit="percentunit",
            width=8,
            stepped=True,
        ),
        lines(
            "Trouble", "Triggers that fire, rollouts that are blind, rollouts whose flags drifted.", [blind, firing, drifted], width=8, stepped=True
        ),
        lines(
            "Transitions",
            "Promotions, rollbacks, degradations and restorations by how they ended; attempted is a try that failed.",
            [transitions],
            width=8,
            stepped=True,
        ),
    ]
