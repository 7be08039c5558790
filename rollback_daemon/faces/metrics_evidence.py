"""Evidence as metrics: its figures, when it was made, and whether it tells anything. Read at scrape time, as the rollouts' other states are.

A figure is there only while it tells something, so that no graph shows the result of yesterday as that of today. There are as many series as
the rule file declares evidence, times the figures of its kind. Must not live here: how evidence comes, what it means (the judge).
"""

from collections.abc import Callable, Iterator

from rollback_daemon.judge.attempts import Came
from rollback_daemon.judge.dossier import Evidence
from rollback_daemon.judge.figures import counted_from, why_untold
from rollback_daemon.rules.duties import Declared, Followed, Inbox, Scheduled
from rollback_daemon.signals.observation import Observation, Value
from rollback_daemon.watch import Watch

Samples = Iterator[tuple[list[str], float]]
Family = tuple[str, str, list[str], Callable[[Watch], Samples]]


def _figures(watch: Watch) -> Samples:
    for declared in watch.rollout.evidence:
        for figure, value in _told(watch, declared).items():
            yield [declared.name, figure], value


def _made(watch: Watch) -> Samples:
    """When what is on record was made stays to be seen after it has become too old: that is what its age is for."""
    for declared in watch.rollout.evidence:
        if (made := _on_record(watch, declared)) is not None:
            yield [declared.name], made.made.timestamp()


def _valid(watch: Watch) -> Samples:
    """Of a file that grows nothing is known where no signal asks for it."""
    asked = {signal.evidence for signal in watch.rollout.signals}
    for declared in watch.rollout.evidence if watch.judgement is not None else ():
        if declared.name in asked or not isinstance(declared.comes, Followed):
            yield [declared.name], float(bool(_told(watch, declared)))


def _told(watch: Watch, declared: Declared) -> dict[str, float]:
    """The figures that the last evaluation could go by."""
    if isinstance(declared.comes, Followed):
        return dict(_followed(watch, declared))
    made = _on_record(watch, declared)
    if made is None or watch.judgement is None:
        return {}
    now = max(watch.judgement.at, made.at)  # it may have been handed in since
    since = counted_from(declared, watch.state.position)
    return {} if why_untold(declared, made, now, watch.rollout.max_gap, since) else dict(made.figures)


def _followed(watch: Watch, declared: Declared) -> Iterator[tuple[str, float]]:
    """The figures of a file that grows are answers of the evaluation, and those of the signals that ask for them."""
    answers = watch.observations[1] if watch.observations else {}
    for signal in watch.rollout.signals:
        seen: Observation | None = answers.get(signal.figure_key) if signal.evidence == declared.name else None
        if isinstance(seen, Value):
            yield from ((signal.figure, value) for value in seen.series.values())


def _on_record(watch: Watch, declared: Declared) -> Evidence | None:
    return watch.state.dossier.evidence.get(declared.name)


def _succeeded(watch: Watch) -> Samples:
    """0 where it has not come yet, so that `time() -` this is large, and not nothing."""
    for declared in _by_itself(watch):
        attempt, made = watch.state.attempts.get(declared.name), _on_record(watch, declared)
        at = (attempt.succeeded if attempt else None) or (made.at if made else None)
        yield [declared.name], at.timestamp() if at else 0.0


def _runs(watch: Watch) -> Samples:
    for declared in _by_itself(watch):
        attempt = watch.state.attempts.get(declared.name)
        for came in Came:
            yield [declared.name, came], float(attempt.counts.get(came, 0) if attempt else 0)


def _by_itself(watch: Watch) -> Iterator[Declared]:
    return (one for one in watch.rollout.evidence if isinstance(one.comes, (Inbox, Scheduled)))


FAMILIES: tuple[Family, ...] = (
    ("evidence_figure", "Figure of declared evidence, in the unit of its kind; absent while it tells nothing.", ["evidence", "figure"], _figures),
    ("evidence_made_timestamp_seconds", "When the evidence on record was made, or else handed in.", ["evidence"], _made),
    ("evidence_valid", "1 when the figures of the evidence tell something, 0 when they do not: none on record, or too old.", ["evidence"], _valid),
    (
        "evidence_last_success_timestamp_seconds",
        "When evidence that comes by itself was last taken, or found on record already; 0 where it was not.",
        ["evidence"],
        _succeeded,
    ),
)
"""Name without its prefix, help, labels beside that of the rollout, and the samples of one rollout."""

COUNTERS: tuple[Family, ...] = (
    (
        "evidence_runs",
        "Runs of commands and files of folders by what they came to: taken, unchanged, superseded, refused, failed.",
        ["evidence", "outcome"],
        _runs,
    ),
)
"""The same for what is counted; counts begin anew with the process, and with a declaration that was changed."""
