"""The dashboard of one rollout: where it is, each value beside its limit, what the next stage asks for, and what happened."""

from grafana_foundation_sdk.models.dashboard import Dashboard

from rollback_daemon.lab.grafana.asking import ask, counted, numbered, quantile, series
from rollback_daemon.lab.grafana.board import ROLLOUT, Board, Places
from rollback_daemon.lab.grafana.parts import Layout, Panel, against, bands, figure, lines, rows
from rollback_daemon.lab.grafana.states import BAD, CALM, GOOD, HEALTHS, MOVING, PHASES, TRIGGERS, WARN, State, both, steps

_ONE = "$rollout"
_NO_GATE = "No data. No gate, or none of which it is known whether it passes: that is not passing."
_NO_CHECK = "No data. The next stage asks for nothing, or it is not known whether it is there."
_NO_EVIDENCE = "No data. The next stage asks for no evidence, or it is not known whether it is there."
_NO_BASELINE = "No data. No trigger or gate compares with a baseline, or none was captured yet."
_NO_CONFIG = "No data. The present stage requires no configuration, or it is not known."
_NO_BUDGET = "No data. No trigger has a budget for failed queries or lack of data."
_NO_FIGURE = "No data. No evidence is declared, or it tells nothing now: none is on record, or it is too old."
_NO_MADE = "No data. No declared evidence is on record."
_NO_COMING = "No data. No evidence comes by itself, from a folder or a command."
_UNSEEN = "No data. The value is not known: neither well nor a breach. The panel Sight says why."


def rollout(places: Places) -> Dashboard:
    """One of them."""
    board = Board(ROLLOUT, "rollbackd: one rollout", "One rollout: its values beside its limits, its phases, what blocks it, what happened.", places)
    board.choice("rollout", "Rollout", "The rollout.", 'label_values(rollback_daemon_rollout_info{job="$job"}, rollout)')
    triggers = 'label_values(rollback_daemon_trigger_phase{job="$job",rollout="$rollout"}, alert)'
    board.choice("alert", "Trigger", "Triggers whose values are shown.", triggers, several=True)
    runbook = 'label_values(rollback_daemon_rollout_info{job="$job",rollout="$rollout"}, runbook_url)'
    board.choice("runbook", "Runbook", "That of the rule file.", runbook, hidden=True)
    board.link(
        "Page of this rollout", "${page}/rollouts/${rollout:percentencode}", "external link", "The live page: roll back, hold, resume, promote"
    )
    board.link("Runbook", "${runbook:raw}", "doc", "The runbook_url of its rule file")
    board.marks(_ONE)
    board.row("Now", *_figures())
    board.row("Phases", *_phases())
    board.row("Values and limits", _value_and_limit(), *_signals())
    board.row("What the next stage asks for", *_next())
    board.row("Evidence", *_evidence())
    board.row("What happened", *_happened())
    return board.build()


def _its(metric: str, by: str = "rollout", /, **labels: str) -> str:
    return f"max by ({by}) ({series(metric, rollout=_ONE, **labels)})"


def _figures() -> list[Panel]:
    late = "scheduled_rollback_timestamp_seconds"
    return [
        figure("Phase", "Where it is in its life.", f"max by (rollout) {numbered('rollout_phase', 'phase', PHASES, rollout=_ONE)}", states=PHASES),
        figure("Stage", "The stage on record.", f"{_its('rollout_stage', 'stage')} == 1", legend="{{stage}}"),
        figure("Exposure", "Share of traffic exposed at that stage.", _its("rollout_exposure_ratio"), unit="percentunit"),
        figure("Soaked", "Time earned at the present stage.", _its("soaked_seconds"), unit="s"),
        figure(
            "Readiness",
            "Points of the scorecard for the next promotion: below 70 NO-GO, from 90 on GO.",
            _its("readiness_score"),
            steps=steps((-1e18, BAD), (70, WARN), (90, GOOD)),
        ),
        figure(
            "Mode",
            "Whether it touches flags, or only says what it would do.",
            _its("rollout_enforced"),
            states=both("observes only", "enforces", (WARN, MOVING)),
        ),
        figure(
            "Sight", "Whether every armed trigger sees. A blind one does not roll back.", _its("blind"), states=both("sees", "BLIND", (GOOD, BAD))
        ),
        figure("Flags", "Whether the flags are those of the stage on record.", _its("drift"), states=both("as on record", "DRIFTED", (GOOD, BAD))),
        figure(
            "Flags readable",
            "Whether the flags could be read at the last look.",
            f"min by (rollout) ({series('flags_readable', rollout=_ONE)})",
            states=both("UNREADABLE", "readable", (BAD, GOOD)),
        ),
        figure(
            "Service",
            "Whether flags are set to a lesser service than their stage's.",
            _its("degraded"),
            states=both("full", "DEGRADED", (GOOD, WARN)),
        ),
        figure(
            "Break-glass",
            "Whether the present stage was promoted to past everything that it asks for.",
            _its("break_glass"),
            states=both("no", "PAST THE GATES", (GOOD, WARN)),
        ),
        figure(
            "Announced rollback",
            "When it will be taken back, unless it eases or a person cancels it.",
            f"1000 * {_its(late)}",
            unit="dateTimeFromNow",
            states=(State(0, "none", GOOD),),
            steps=steps((-1e18, WARN)),
        ),
    ]


def _phases() -> list[Panel]:
    trigger = numbered("trigger_phase", "phase", TRIGGERS, rollout=_ONE)
    health = numbered("trigger_health", "health", HEALTHS, rollout=_ONE)
    return [
        bands(
            "Phase",
            "Where it was in its life.",
            f"max by (rollout) {numbered('rollout_phase', 'phase', PHASES, rollout=_ONE)}",
            "{{rollout}}",
            PHASES,
            height=4,
        ),
        bands(
            "Stages",
            "The stage on record, a band for each stage.",
            f"{_its('rollout_stage', 'stage')} == 1",
            "{{stage}}",
            (State(1, "here", MOVING),),
            height=6,
        ),
        bands("Triggers", "Each trigger: inactive, pending, firing.", f"max by (alert) {trigger}", "{{alert}}", TRIGGERS, width=12, height=8),
        bands(
            "Sight",
            "Whether each trigger had something to judge. What does not see is neither well nor a breach.",
            f"max by (alert) {health}",
            "{{alert}}",
            HEALTHS,
            width=12,
            height=8,
        ),
        bands(
            "Armed",
            "Whether a trigger may act at the present stage.",
            _its("trigger_armed", "alert"),
            "{{alert}}",
            both("not armed", "armed", (CALM, MOVING)),
            width=12,
            height=6,
        ),
        bands(
            "Escalation",
            "The level that a firing trigger has reached.",
            _its("escalation_level", "alert"),
            "{{alert}}",
            (State(0, "none", CALM), *(State(level, f"level {level}", BAD if level > 1 else WARN) for level in range(1, 6))),
            width=12,
            height=6,
        ),
    ]


def _value_and_limit() -> Panel:
    asked = [
        ask(_its("trigger_value", "alert", alert="~$alert"), "value"),
        ask(_its("trigger_limit", "alert", alert="~$alert"), "limit", "B"),
    ]
    text = "The value that is furthest on the breached side, and the limit, of a range its lower end. Where the value is missing it is not known."
    return against(lines("$alert", text, asked, nothing=_UNSEEN, width=24), "limit").repeat("alert").repeat_direction("h").max_per_row(3)


def _signals() -> list[Panel]:
    baselines = [ask(_its("baseline_value", "signal"), "{{signal}}")]
    return [
        lines(
            "Signals", "Signals that have one series; missing while unknown.", [ask(_its("signal_value", "signal"), "{{signal}}")], nothing=_UNSEEN
        ),
        lines("Baselines", "Figures captured before, with which some triggers compare.", baselines, nothing=_NO_BASELINE, stepped=True),
    ]


def _next() -> list[Panel]:
    passing = both("not met", "met", (WARN, GOOD))
    return [
        bands(
            "Gates",
            "Whether each gate passes; a gap is time in which it was not known.",
            f"min by (gate) ({series('gate_passing', rollout=_ONE)})",
            "{{gate}}",
            both("violated", "passes", (BAD, GOOD)),
            width=12,
            height=8,
            nothing=_NO_GATE,
        ),
        bands(
            "Requirements",
            "What the next promotion asks for: soak, gates, evidence, checkpoints, approvals. A gap is time in which it was not known.",
            f"min by (check) ({series('check_passing', rollout=_ONE)})",
            "{{check}}",
            passing,
            width=12,
            height=8,
            nothing=_NO_CHECK,
        ),
        bands(
            "Required evidence",
            "Whether each result that the next stage asks for is on record, and young enough.",
            f"min by (check) ({series('check_passing', rollout=_ONE, check='~evidence .+')})",
            "{{check}}",
            both("missing or too old", "valid", (WARN, GOOD)),
            width=12,
            height=8,
            nothing=_NO_EVIDENCE,
        ),
        bands(
            "Configuration",
            "Whether each key has the value that the present stage requires.",
            f"min by (key) ({series('config_as_required', rollout=_ONE)})",
            "{{key}}",
            both("another value", "as required", (BAD, GOOD)),
            width=12,
            height=8,
            nothing=_NO_CONFIG,
        ),
        lines("Readiness", "Points of the scorecard, of 100.", [ask(_its("readiness_score"), "points")], stepped=True),
        lines("Soaked", "Time earned at the present stage; it begins anew at each.", [ask(_its("soaked_seconds"), "soaked")], unit="s"),
    ]


def _evidence() -> list[Panel]:
    age = f"time() - {_its('evidence_made_timestamp_seconds', 'evidence')}"
    since = f"time() - ({_its('evidence_last_success_timestamp_seconds', 'evidence')} > 0)"
    runs = [ask(counted("evidence_runs_total", "evidence, outcome", rollout=_ONE), table=True)]
    return [
        lines(
            "Figures of evidence",
            "What was handed in, or came by itself, in the unit of its kind; a figure ends when it is too old to tell anything.",
            [ask(_its("evidence_figure", "evidence, figure"), "{{evidence}} {{figure}}")],
            nothing=_NO_FIGURE,
            stepped=True,
        ),
        bands(
            "Evidence",
            "Whether the figures of each tell anything.",
            f"min by (evidence) ({series('evidence_valid', rollout=_ONE)})",
            "{{evidence}}",
            both("none, or too old", "tells", (WARN, GOOD)),
            width=12,
            height=8,
            nothing=_NO_FIGURE,
        ),
        lines(
            "Age of evidence",
            "Since it was made, or else handed in.",
            [ask(age, "{{evidence}}"), ask(since, "{{evidence}}: since it last came by itself", "B")],
            unit="s",
            nothing=_NO_MADE,
        ),
        rows(
            "Evidence that comes by itself",
            "Files of folders and runs of commands in the time shown, by what they came to.",
            runs,
            Layout({"evidence": "Evidence", "outcome": "Outcome", "Value": "How often"}, sort="How often"),
            height=8,
            width=12,
            nothing=_NO_COMING,
        ),
    ]


def _happened() -> list[Panel]:
    ended = [ask(counted("transitions_total", "kind, outcome", rollout=_ONE), table=True)]
    took = [
        ask(quantile(0.5, "breach_to_flags_seconds", "rollout", "$__range", rollout=_ONE), "breach to flags, median"),
        ask(quantile(0.99, "breach_to_flags_seconds", "rollout", "$__range", rollout=_ONE), "breach to flags, slowest hundredth", "B"),
        ask(quantile(0.5, "transition_seconds", "kind", "$__range", rollout=_ONE), "{{kind}}, median", "C"),
    ]
    budgets = [ask(_its("trigger_budget_used_ratio", "alert, budget"), "{{alert}} {{budget}}")]
    hooks = [ask(counted("hook_deliveries_total", "hook, outcome", rollout=_ONE), table=True)]
    checked = [ask(counted("verifications_total", "outcome", rollout=_ONE), table=True)]
    looked = [ask(counted("follow_ups_total", "outcome", rollout=_ONE), table=True)]
    counts = Layout({"kind": "Transition", "hook": "Hook", "outcome": "Outcome", "Value": "How often"}, sort="How often")
    return [
        rows(
            "Transitions", "How often, and how they ended, in the time shown; attempted counts tries that failed.", ended, counts, height=8, width=8
        ),
        rows(
            "Verifications of rollbacks",
            "What they came to in the time shown.",
            checked,
            counts,
            height=8,
            width=4,
            nothing="No data. Its rule file has no verify.",
        ),
        rows(
            "Looks after completion",
            "What they came to in the time shown.",
            looked,
            counts,
            height=8,
            width=4,
            nothing="No data. Its rule file has no follow_up.",
        ),
        rows(
            "Hooks",
            "Deliveries in the time shown: delivered, retried, given up.",
            hooks,
            counts,
            height=8,
            width=8,
            nothing="No data. Its rule file has no hooks.",
        ),
        lines(
            "How long it took",
            "From the first breached evaluation after `for`, and from the intent on record, to the flags read back; at each moment of those within "
            "as long before it as is shown. Nothing is drawn while there were none.",
            took,
            unit="s",
        ),
        lines(
            "Budgets",
            "Share used of what a trigger may go without answers or data before its rule says what follows; 1 is spent.",
            budgets,
            unit="percentunit",
            nothing=_NO_BUDGET,
            stepped=True,
        ),
    ]
