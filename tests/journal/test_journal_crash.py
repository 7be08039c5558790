"""Killed at any instant, the journal has everything that it acknowledged, once, in order, in a whole chain."""

import random
from pathlib import Path

import pytest

from rollback_daemon.journal.journal import Journal
from tests.journal.helpers import Opener, Start, line, locked, numbers

APPEND = """
from tests.journal.helpers import NOON
from rollback_daemon.journal.journal import Journal
journal = Journal.open("sqlite:///{path}")
while True:
    record = journal.append("checkout", "cycle", {{"why": "x" * 300}}, NOON)
    journal.save_memory({{"checkout": str(record.seq)}}, NOON)
    print(record.seq, record.digest, flush=True)
"""

SPILL = """
from datetime import timedelta
from tests.journal.helpers import NOON
from rollback_daemon.journal.journal import Journal
journal = Journal.open("sqlite:///{path}", busy_timeout=timedelta(milliseconds=1))
for number in range({first}, 10**9):
    journal.append_or_spill("checkout", "rollback", {{"n": number}}, NOON)
    print(number, flush=True)
"""


@pytest.mark.parametrize("seed", range(8))
def test_every_acknowledged_record_survives_a_kill(seed: int, path: Path, start: Start, opener: Opener) -> None:
    chance = random.Random(seed)
    for _ in range(2):
        child = start(APPEND.format(path=path))
        acknowledged = [line(child) for _ in range(chance.randint(1, 120))]
        child.kill()
        rest = child.communicate()[0]
        acknowledged += rest[: rest.rfind("\n") + 1].split("\n")[:-1]
        journal = opener()
        kept = {f"{record.seq} {record.digest}" for record in journal.records()}
        assert set(acknowledged) <= kept
        assert journal.verify() == []
        memory, _ = journal.load_memory()
        assert journal.head().seq - int(memory["checkout"]) in {0, 1}
        journal.close()


@pytest.mark.parametrize("seed", range(8))
def test_every_spilled_record_survives_a_kill_once_and_in_order(seed: int, path: Path, start: Start, opener: Opener) -> None:
    chance = random.Random(seed)
    opener().close()
    last = -1
    for _ in range(2):
        child = start(SPILL.format(path=path, first=last + 1))
        for _ in range(4):
            with locked(path):
                last = [int(line(child)) for _ in range(chance.randint(1, 30))][-1]
            last = [int(line(child)) for _ in range(chance.randint(1, 30))][-1]
        child.kill()
        rest = child.communicate()[0]
        last = max([last, *(int(number) for number in rest[: rest.rfind("\n") + 1].split())])
        journal: Journal = opener()
        journal.absorb_spill()
        found = numbers(journal)
        assert found[: last + 1] == list(range(last + 1))
        assert found[last + 1 :] in ([], [last + 1]), "at most one more was kept than was acknowledged"
        assert journal.verify() == []
        last = found[-1]
        journal.close()
    assert [each.name for each in path.parent.iterdir() if "spill" in each.name] == []
