"""Finding one incident of a rollout in the journal, with everything that belongs to it.

Lives here: which records are read. Must not live here: which of them belong to an incident (`incidents`), what a report says of them.
"""

from collections.abc import Collection

from rollback_daemon.governance.incidents import Incident, called, incidents
from rollback_daemon.journal.journal import Journal, Record
from rollback_daemon.judge.transitions import Event

_SEEN = {Event.TRIGGER, Event.OBSERVED, Event.READY, Event.UNREADY, Event.COMPLETED}
KINDS = tuple(event for event in Event if event not in _SEEN)
"""The kinds of records that a report is made from, beside those of its triggers, of which there are many."""
_LOOKED_BACK = 50_000  # records before an incident in which what its triggers did is looked for


def find(journal: Journal, rollout: str, identity: str, kinds: Collection[str] = KINDS) -> tuple[Incident, list[Record]]:
    """The incident with that id, or the `last` one, and the rollout's records of these kinds, oldest first.

    Raises OperationRefused where there is none, and JournalUnavailable.
    """
    records = journal.records(rollout, kinds=kinds)
    one = called(incidents(records), rollout, identity)
    seen = journal.records(rollout, kinds=[Event.TRIGGER], after=max(0, one.opening.seq - _LOOKED_BACK))
    whole = sorted([*records, *seen], key=lambda record: record.seq)
    return called(incidents(whole), rollout, one.id), records
