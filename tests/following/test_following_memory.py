"""A file is followed through a rotation and a truncation in memory that does not grow with it."""

from pathlib import Path

from tests.benches.following import run


def test_memory_does_not_grow_with_the_file(tmp_path: Path) -> None:
    told = run(tmp_path, 20)
    assert told["megabytes"] > 19
    assert told["grown_mib"] < 14
    assert told["counted"] == told["expected"]
