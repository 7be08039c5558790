"""Incidents that people know of, read from a CSV file: `start,end[,name][,rollout]`. Every mistake with its line, all at once.

Lives here: reading. Must not live here: what a fire is worth against them (`scoring`).
"""

import csv
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from rollback_daemon.documents.complaints import did_you_mean
from rollback_daemon.errors import ConfigurationError, Problem
from rollback_daemon.lab.backtesting.times import moment

_MOST_BYTES = 1_000_000  # some twenty thousand incidents: more are no list that people keep, and each is held against every fire
_COLUMNS = ("start", "end", "name", "rollout")


@dataclass(frozen=True, slots=True)
class Incident:
    """Something was wrong from `start` to `end`. `rollout`: which one it is of; "": of every one."""

    start: datetime
    end: datetime
    name: str
    rollout: str = ""


def read(file: Path, rollouts: Collection[str], now: datetime) -> list[Incident]:
    """The incidents of the file, oldest first. Raises ConfigurationError."""
    try:
        with file.open("rb") as opened:
            content = opened.read(_MOST_BYTES + 1)
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise ConfigurationError([Problem(str(file), 0, 0, "", "is not UTF-8")]) from None
    except OSError as error:
        raise ConfigurationError([Problem(str(file), 0, 0, "", f"cannot be read: {error.strerror}")]) from None
    if len(content) > _MOST_BYTES:
        raise ConfigurationError(
            [Problem(str(file), 0, 0, "", f"is larger than {_MOST_BYTES // 10**6} MB; leave out what is outside of the history")]
        )
    rows = csv.reader(text.splitlines(), strict=True, skipinitialspace=True)
    problems: list[Problem] = []
    found: list[Incident] = []
    try:
        head = [name.strip() for name in next(rows, [])]
        problems += _head(file, head)
        for row in rows if not problems else ():
            if any(cell.strip() for cell in row):
                found += _row(file, rows.line_num, head, row, rollouts, now, problems)
    except csv.Error as error:
        problems.append(Problem(str(file), rows.line_num, 1, "", f"is no CSV: {error}"))
    if not found and not problems:
        problems.append(Problem(str(file), 0, 0, "", "has no incident in it"))
    if problems:
        raise ConfigurationError(problems)
    return sorted(found, key=lambda one: one.start)


def _head(file: Path, head: list[str]) -> list[Problem]:
    told = [f'"{name}" is no column; {did_you_mean(name, _COLUMNS)}' for name in head if name not in _COLUMNS]
    told += [
        f'the column "{name}" is missing; the first line must be start,end or start,end,name,rollout' for name in ("start", "end") if name not in head
    ]
    told += [f'the column "{name}" stands there twice' for name in dict.fromkeys(head) if head.count(name) > 1]
    return [Problem(str(file), 1, 1, "", text) for text in told]


def _row(file: Path, line: int, head: list[str], row: list[str], rollouts: Collection[str], now: datetime, problems: list[Problem]) -> list[Incident]:
    before = len(problems)

    def wrong(column: str, text: str) -> None:
        problems.append(Problem(str(file), line, head.index(column) + 1 if column in head else 1, column, text))

    if len(row) != len(head):
        wrong("", f"has {len(row)} fields, the first line has {len(head)}")
        return []
    cells: Mapping[str, str] = dict(zip(head, (cell.strip() for cell in row), strict=True))
    times: dict[str, datetime] = {}
    for column in ("start", "end"):
        try:
            times[column] = moment(cells[column], now)
        except ValueError as error:
            wrong(column, str(error))
    if len(times) == 2 and times["start"] > times["end"]:
        wrong("end", "is before its start")
    name = cells.get("rollout", "")
    if name and name not in rollouts:
        wrong("rollout", f'"{name}" is none of those that are backtested; {did_you_mean(name, rollouts)}')
    if len(problems) > before:
        return []
    return [Incident(times["start"], times["end"], cells.get("name") or f"{times['start']:%Y-%m-%d %H:%M}", name)]
