"""Which evidence something rests on, by what identifies it, so that a rollback is never without it: in a sentence, and for the record. Pure.

Must not live here: figures (`figures`), who is told (`faces`), what an incident makes of it (`governance`).
"""

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any

from rollback_daemon.judge.dossier import Dossier, Evidence
from rollback_daemon.rules.duties import Followed
from rollback_daemon.rules.model import Rollout, Trigger

_CHECKS = 5  # that a sentence names


def in_words(made: Evidence) -> str:
    """`release-gate: gate.json by ann at 2026-11-20 03:12:00 UTC, sha256 0123456789ab; failed: critical_cases`: when it was handed in."""
    file = f"{made.file} by" if made.file else "by"
    said = f"{made.name}: {file} {made.by} at {made.at:%Y-%m-%d %H:%M:%S} UTC, sha256 {made.digest[:12]}"
    return f"{said}; failed: {_few(made)}" if made.failed else said


def cited(rollout: Rollout, dossier: Dossier, triggers: Iterable[Trigger]) -> list[dict[str, Any]]:
    """For the record: each evidence that these triggers look at, as it is now; of a file that is followed, where it is."""
    names = dict.fromkeys(signal.evidence for trigger in triggers for signal in trigger.test.signals() if signal.evidence)
    found = []
    for name in names:
        declared, made = rollout.declared(name), dossier.evidence.get(name)
        if declared is not None and isinstance(declared.comes, Followed):
            found.append({"evidence": name, "file": declared.comes.path})
        elif made is not None:
            found.append(as_value(made))
    return found


def as_value(made: Evidence) -> dict[str, Any]:
    """All that identifies it, what it came to, and each check that it says has failed."""
    times = {"at": made.at.isoformat(), "made_at": made.made_at.isoformat() if made.made_at else None}
    facts = {"evidence": made.name, "file": made.file, "sha256": made.digest, "by": made.by, **times}
    return {**facts, "figures": dict(made.figures), "failed": dict(made.failed)}


def failed(rollout: Rollout, dossier: Dossier, trigger: Trigger) -> Iterator[str]:
    """What each check came to that failed in the evidence that the trigger looks at."""
    for one in cited(rollout, dossier, [trigger]):
        yield from (f"{check}: {said}" for check, said in one.get("failed", {}).items())


def _few(made: Evidence) -> str:
    more = f" and {len(made.failed) - _CHECKS} more" if len(made.failed) > _CHECKS else ""
    return f"{', '.join(islice(made.failed, _CHECKS))}{more}"
