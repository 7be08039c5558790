"""How far each hook has been told what is on record: the number of the last record, by rollout and hook.

Lives here: keeping these numbers. Must not live here: what a hook is, or what it is told. Only `journal` imports this.
"""

import threading
from collections.abc import Collection, Mapping

from sqlalchemy import and_, bindparam, delete, insert, select

from rollback_daemon.journal.database import CURSORS, Database

Place = tuple[str, str]
"""A rollout and one of its hooks, by name."""


class Cursors:
    """The numbers, in the journal's own database. Safe to share between threads."""

    def __init__(self, database: Database, lock: threading.RLock) -> None:
        """`lock` is the journal's: one thread writes at a time."""
        self._database, self._lock = database, lock

    def load(self) -> dict[Place, int]:
        """All of them. Raises JournalUnavailable."""
        with self._database.reading() as connection:
            return {(row.rollout, row.hook): row.seq for row in connection.execute(select(CURSORS))}

    def save(self, known: Mapping[Place, int], gone: Collection[Place] = ()) -> None:
        """Keep these, and forget those that are `gone`, all or nothing; others stay. A database that did not take the last write is not waited for.

        Raises JournalUnavailable.
        """
        old = [{"of": rollout, "its": hook} for rollout, hook in {*known, *gone}]
        if not old:
            return
        rows = [{"rollout": rollout, "hook": hook, "seq": seq} for (rollout, hook), seq in known.items()]
        forget = delete(CURSORS).where(and_(CURSORS.c.rollout == bindparam("of"), CURSORS.c.hook == bindparam("its")))
        with self._lock, self._database.writing(patient=self._database.writable) as connection:
            connection.execute(forget, old)
            if rows:
                connection.execute(insert(CURSORS), rows)
