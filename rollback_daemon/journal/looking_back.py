"""Looking back in the journal: how far it went at a moment, and the newest record of each thing by then.

Lives here: those two questions, asked so that a hundred thousand records are no reason to wait. Must not live here: what a record means.
"""

from collections.abc import Callable
from datetime import datetime
from typing import Any, Generic, TypeVar

from sqlalchemy import Row, select

from rollback_daemon.journal.canonical import stamp
from rollback_daemon.journal.database import RECORDS, Database

Read = TypeVar("Read")


class LookingBack(Generic[Read]):
    """The journal's past. `read` makes a record of a row."""

    def __init__(self, database: Database, read: Callable[[Row[Any]], Read]) -> None:
        self._database, self._read = database, read

    def number_at(self, rollout: str, at: datetime) -> int:
        """The number of the rollout's newest record that is not younger than `at`; 0 where there is none. Raises JournalUnavailable.

        Newest in the order of the journal: where the clock was set back, that is the later of the two times that it showed the same.
        """
        query = select(RECORDS.c.seq).where(RECORDS.c.rollout == rollout, RECORDS.c.at <= stamp(at)).order_by(RECORDS.c.seq.desc()).limit(1)
        with self._database.reading() as connection:
            return int(connection.execute(query).scalar() or 0)

    def newest_of_each(self, rollout: str, kind: str, until: int, key: Callable[[str], str]) -> list[Read]:
        """The newest record of this kind for each `key`, up to the record `until`, newest first; what tells two things apart is found in the text
        of the body, in canonical JSON, so that only those records are read that are wanted. Raises JournalUnavailable.
        """
        here = (RECORDS.c.rollout == rollout, RECORDS.c.kind == kind, RECORDS.c.seq <= until)
        found: dict[str, int] = {}
        with self._database.reading() as connection:
            for seq, body in connection.execute(select(RECORDS.c.seq, RECORDS.c.body).where(*here).order_by(RECORDS.c.seq.desc())):
                found.setdefault(key(str(body)), seq)
            wanted = list(found.values())
            rows = [
                row
                for first in range(0, len(wanted), 500)
                for row in connection.execute(select(RECORDS).where(RECORDS.c.seq.in_(wanted[first : first + 500])).order_by(RECORDS.c.seq.desc()))
            ]
        return [self._read(row) for row in rows]
