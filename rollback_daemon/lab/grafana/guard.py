"""The dashboard of the guard itself: whether it looks, in time, is answered, is heard, can write its journal, and what it needs of the machine."""

from grafana_foundation_sdk.builders.prometheus import Dataquery
from grafana_foundation_sdk.models.dashboard import Dashboard

from rollback_daemon.lab.grafana.asking import ask, counted, quantile, series
from rollback_daemon.lab.grafana.board import GUARD, Board, Places
from rollback_daemon.lab.grafana.parts import Panel, figure, lines
from rollback_daemon.lab.grafana.states import BAD, GOOD, NONE_IS_GOOD, WARN, WORST, both, steps

_WINDOW = "$__rate_interval"


def guard(places: Places) -> Dashboard:
    """The daemons of one job."""
    board = Board(GUARD, "rollbackd: the guard itself", "Whether the guard looks, sees, is heard and remembers.", places)
    board.text("runbook", "Runbook", places.runbook)
    board.link("Page of the guard", "${page}", "external link", "The live page")
    board.link("Runbook of the guard", "${runbook:raw}", "doc", "What to do about each of its alerts")
    board.row("Now", *_figures())
    board.row("Evaluations", *_cycles())
    board.row("Being answered and being heard", *_outside())
    board.row("Rollbacks and the journal", *_deeds())
    board.row("The process", *_process())
    return board.build()


def _figures() -> list[Panel]:
    in_charge = f"count(max by (rollout) ({series('leader')}) == 0) or 0 * count({series('leader')})"
    refused = f"sum({counted('alertmanager_notifications_total', 'instance', '15m', outcome='!delivered')})"
    return [
        figure("Guards that answer", "Daemons that answer Prometheus.", f"sum({series('up')})", steps=steps((-1e18, WORST), (0.5, GOOD))),
        figure("Version", "Of the daemons that answer.", f"max by (version) ({series('build_info')})", legend="{{version}}"),
        figure("Without a guard", "Rollouts of which no daemon is in charge.", in_charge, steps=NONE_IS_GOOD),
        figure(
            "Journal writable",
            "Whether the last write succeeded. Where not, promotions are refused; rollbacks go on.",
            f"min({series('journal_writable')} and on (instance) max by (instance) ({series('leader')}) == 1)",
            states=both("NO", "writable", (BAD, GOOD)),
        ),
        figure(
            "Journal intact",
            "Whether the chain of records was whole at the start.",
            f"min({series('journal_intact')} and on (instance) max by (instance) ({series('leader')}) == 1)",
            states=both("ALTERED", "intact", (WORST, GOOD)),
        ),
        figure(
            "Configuration",
            "Whether the last reload was taken. Where not, the one before stays in force, and a restart would fail.",
            f"min({series('config_last_reload_successful')})",
            states=both("REFUSED", "taken", (WARN, GOOD)),
        ),
        figure(
            "Configuration loaded",
            "When a configuration was last taken.",
            f"1000 * min({series('config_last_reload_success_timestamp_seconds')})",
            unit="dateTimeFromNow",
        ),
        figure("Running since", "The latest start of a daemon.", f"1000 * max({series('process_start_time_seconds')})", unit="dateTimeFromNow"),
        figure(
            "Missed evaluations, 1 h",
            "Evaluations that did not take place.",
            f"sum(increase({series('cycles_missed_total')}[1h]))",
            steps=NONE_IS_GOOD,
        ),
        figure(
            "Defects, 1 h",
            "Evaluations of a rollout that ended in a defect of the daemon; it was not guarded in these.",
            f"sum(increase({series('evaluation_failures_total')}[1h]))",
            steps=NONE_IS_GOOD,
        ),
        figure("Alerts not delivered, 15 min", "Requests that no Alertmanager took.", refused, steps=NONE_IS_GOOD),
        figure(
            "Hooks given up, 1 h",
            "Events that a hook will not hear of any more.",
            f"sum(increase({series('hook_deliveries_total', outcome='given_up')}[1h]))",
            steps=NONE_IS_GOOD,
        ),
    ]


def _quantiles(metric: str) -> list[Dataquery]:
    return [
        ask(quantile(0.5, metric), "{{instance}} median"),
        ask(quantile(0.99, metric), "{{instance}} slowest hundredth", "B"),
    ]


def _cycles() -> list[Panel]:
    done = ask(f"sum by (instance) (increase({series('cycle_seconds_count')}[{_WINDOW}]))", "{{instance}} done")
    missed = ask(f"sum by (instance) (increase({series('cycles_missed_total')}[{_WINDOW}]))", "{{instance}} missed", "B")
    defects = ask(f"topk(20, {counted('evaluation_failures_total', 'rollout', _WINDOW)})", "{{rollout}}")
    return [
        lines(
            "How late evaluations begin",
            "From their aligned time to their start. Rollbacks come as much later.",
            _quantiles("cycle_lag_seconds"),
            unit="s",
            width=8,
        ),
        lines(
            "How long evaluations take",
            "Of an interval group. One that takes longer than its interval misses the next.",
            _quantiles("cycle_seconds"),
            unit="s",
            width=8,
        ),
        lines("Evaluations", "Evaluations of interval groups, done and missed.", [done, missed], width=8),
        lines(
            "Defects",
            "Evaluations that ended in a defect of the daemon, by rollout: the 20 with the most. All are 0 when all is well.",
            [defects],
            width=12,
        ),
        lines(
            "In charge",
            "Rollouts that each daemon is in charge of; a standby has 0.",
            [ask(f"sum by (instance) ({series('leader')})", "{{instance}}")],
            width=12,
            stepped=True,
        ),
    ]


def _outside() -> list[Panel]:
    queries = [ask(f"sum by (outcome) (rate({series('queries_total')}[{_WINDOW}]))", "{{outcome}}")]
    told = [
        ask(f"sum by (alertmanager, outcome) (increase({series('alertmanager_notifications_total')}[{_WINDOW}]))", "{{alertmanager}} {{outcome}}")
    ]
    hooks = [ask(f"topk(50, {counted('hook_deliveries_total', 'rollout, hook, outcome', _WINDOW)})", "{{rollout}} {{hook}} {{outcome}}")]
    return [
        lines("Queries", "Queries to Prometheus by outcome; no_data is an answer, all others but ok are failures.", queries, unit="reqps"),
        lines("How long queries take", "One query, with its retries.", _quantiles("query_seconds"), unit="s"),
        lines(
            "Alertmanagers", "Requests by what became of them; refused is not tried again.", told, nothing="No data. No Alertmanager is configured."
        ),
        lines("Hooks", "Deliveries by what became of them: the 50 most frequent.", hooks, nothing="No data. No rule file has hooks."),
    ]


def _deeds() -> list[Panel]:
    took = [
        ask(quantile(0.5, "breach_to_flags_seconds", "job", "$__range"), "median"),
        ask(quantile(0.99, "breach_to_flags_seconds", "job", "$__range"), "slowest hundredth", "B"),
    ]
    transitions = [ask(quantile(0.99, "transition_seconds", "kind", "$__range"), "{{kind}}, slowest hundredth")]
    written = [ask(f"sum by (instance) (rate({series('journal_append_seconds_count')}[{_WINDOW}]))", "{{instance}}")]
    return [
        lines(
            "From breach to flags",
            "From the first breached evaluation after `for` to the flags read back; at each moment of the rollbacks within as long before "
            "it as is shown. Nothing is drawn while there were none.",
            took,
            unit="s",
            width=6,
        ),
        lines("Transitions", "From the intent on record to the flags read back, counted in the same way.", transitions, unit="s", width=6),
        lines("Records", "Records put into the journal.", written, unit="wps", width=6),
        lines(
            "How long a record takes",
            "Until it is on the disk; a rollback waits for its own.",
            _quantiles("journal_append_seconds"),
            unit="s",
            width=6,
        ),
    ]


def _process() -> list[Panel]:
    def of(metric: str, ref: str, word: str) -> Dataquery:
        return ask(series(metric), f"{{{{instance}}}} {word}", ref)

    collected = ask(
        f"sum by (instance, generation) (rate({series('python_gc_collections_total')}[{_WINDOW}]))", "{{instance}} generation {{generation}}"
    )
    freed = ask(f"sum by (instance) (rate({series('python_gc_objects_collected_total')}[{_WINDOW}]))", "{{instance}} objects", "B")
    lost = ask(f"sum by (instance) (increase({series('python_gc_objects_uncollectable_total')}[{_WINDOW}]))", "{{instance}} uncollectable", "C")
    processor = [ask(f"sum by (instance) (rate({series('process_cpu_seconds_total')}[{_WINDOW}]))", "{{instance}}")]
    memory = [of("process_resident_memory_bytes", "A", "resident"), of("process_virtual_memory_bytes", "B", "virtual")]
    files = [of("process_open_fds", "A", "open"), of("process_max_fds", "B", "limit")]
    python = [ask(f"max by (instance, implementation, version) ({series('python_info')})", "{{instance}} {{implementation}} {{version}}")]
    return [
        lines("Memory", "Resident memory is what it takes of the machine.", memory, unit="bytes", width=8),
        lines("Processor", "1 is one processor.", processor, width=8),
        lines("Open files", "Files and connections, and how many it may have.", files, width=8),
        lines("Memory reclaimed", "The interpreter's collections and objects collected, a second.", [collected, freed, lost], width=12),
        lines("Interpreter", "Which Python it runs on.", python, width=12, stepped=True),
    ]
