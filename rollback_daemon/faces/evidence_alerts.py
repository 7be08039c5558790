"""The alert about evidence that should come by itself and does not. Pure.

Lives here: that alert. Must not live here: every other alert (`alerts`), how evidence comes (`intake`).
"""

from collections.abc import Iterator

from rollback_daemon.durations import format_duration
from rollback_daemon.faces.rollout_alert import Finding, RolloutAlert
from rollback_daemon.judge.attempts import Attempt
from rollback_daemon.judge.state import Judgement, State
from rollback_daemon.rules.duties import Declared, Scheduled
from rollback_daemon.rules.model import Rollout

_SHOWN = 300  # characters of the cause; the record has the rest


def _failed(rollout: Rollout, state: State, judgement: Judgement) -> Iterator[Finding]:
    """One for each declaration. A folder that is away must be so for `max_gap`: a disk may be mounted anew."""
    for declared in rollout.evidence:
        attempt = state.attempts.get(declared.name)
        if attempt is None:
            continue
        if attempt.away_since is not None and judgement.at - attempt.away_since >= rollout.max_gap:
            summary = f'evidence "{declared.name}" of {rollout.name} cannot come: its folder cannot be looked into'
            text = f"{attempt.away}. No new file is taken before that."
            yield Finding(attempt.away_since, attempt.away[:_SHOWN], summary, text, labels={"evidence": declared.name})
        elif attempt.since is not None:
            cause = attempt.failed if len(attempt.failed) <= _SHOWN else f"{attempt.failed[:_SHOWN]}…"
            summary = f'evidence "{declared.name}" of {rollout.name} did not come: the last try failed'
            said = cause if cause.endswith((".", "!", "?", "…")) else f"{cause}."
            yield Finding(attempt.since, cause, summary, f"{said} {_what_follows(declared, attempt)}", labels={"evidence": declared.name})


def _what_follows(declared: Declared, attempt: Attempt) -> str:
    by_hand = "or hand one in with `rollbackd evidence`"
    if isinstance(declared.comes, Scheduled):
        again = f"at {attempt.next:%Y-%m-%d %H:%M:%S} UTC" if attempt.next else f"every {format_duration(declared.comes.every)}"
        return f"The command is run again {again}; mend it before that, {by_hand}. What is on record counts for as long as its max_age says."
    return f"Lay a file into the folder that can be taken, {by_hand}. What is on record counts for as long as its max_age says."


EVIDENCE_ALERTS: dict[str, RolloutAlert] = {
    "RolloutEvidenceFailed": RolloutAlert("warning", "evidence that comes by itself could not be taken when it was tried last", _failed),
}
"""Every alert about evidence, by name."""
