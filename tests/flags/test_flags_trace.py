"""What a file tells of its last change."""

import os
import re
from pathlib import Path

import pytest

from rollback_daemon.flags.change_trace import trace_of
from rollback_daemon.flags.store import same
from tests.flags.contract import is_root

NOON = 1_772_366_400_123_456_789  # nanoseconds: 2026-03-01 12:00:00.123 UTC


def status(mode: int = 0o100644, owner: int = 0, group: int = 0, modified: int = NOON, changed: int = NOON) -> os.stat_result:
    """As `fstat` gives it, times in nanoseconds."""
    seconds = (modified // 10**9, modified // 10**9, changed // 10**9)
    floats = (modified / 10**9, modified / 10**9, changed / 10**9)
    return os.stat_result((mode, 1, 1, 1, owner, group, 0, *seconds, *floats, modified, modified, changed))


def test_an_ordinary_file_tells_its_owner_its_time_and_its_mode() -> None:
    assert trace_of(status()) == {"owner": "root", "modified": "2026-03-01T12:00:00.123Z", "mode": "0644"}


def test_a_group_that_may_write_is_told() -> None:
    assert trace_of(status(0o100664))["group"] == "root"


def test_owners_without_a_name_are_told_by_number() -> None:
    assert trace_of(status(0o100660, owner=54321, group=65432)) | {"modified": ""} == {
        "owner": "uid 54321",
        "modified": "",
        "group": "gid 65432",
        "mode": "0660",
    }


def test_an_old_file_that_was_moved_here_tells_when() -> None:
    """`cp -p`, `rsync -a` and `mv` keep the time of the content, which is not the time of the change."""
    trace = trace_of(status(changed=NOON + 3600 * 10**9))
    assert (trace["modified"], trace["changed"]) == ("2026-03-01T12:00:00.123Z", "2026-03-01T13:00:00.123Z")


@pytest.mark.parametrize(
    ("nanoseconds", "told"),
    [
        (0, "1970-01-01T00:00:00.000Z"),
        (-1, "1969-12-31T23:59:59.999Z"),
        (2**62, "2116-02-20T23:53:38.427Z"),
        (10**21, "1000000000000 seconds after 1970"),
    ],
)
def test_any_time_at_all_is_told(nanoseconds: int, told: str) -> None:
    assert trace_of(status(modified=nanoseconds, changed=nanoseconds))["modified"] == told


@pytest.mark.skipif(not is_root(), reason="only root can give files away")
def test_a_real_file_given_away_tells_both_times(tmp_path: Path) -> None:
    path = tmp_path / "flags"
    path.write_text("")
    os.utime(path, ns=(NOON, NOON))
    os.chown(path, 54321, -1)
    trace = trace_of(path.stat())
    assert trace["owner"] == "uid 54321"
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", trace["changed"])
    assert trace["changed"] > trace["modified"]


@pytest.mark.parametrize(
    ("left", "right", "expected"),
    [
        (("a", "b"), ["a", "b"], True),
        ((), [], True),
        (("a", "b"), ("b", "a"), False),
        (("a",), ("a", "b"), False),
        (("a",), "a", False),
        ("ab", ("a", "b"), False),
        ((), None, False),
        ((), "", False),
        ((True,), (1,), False),
        ((1, 2.0), [1.0, 2], True),
        (("1",), (1,), False),
    ],
)
def test_lists_are_the_same_when_their_elements_are(left: object, right: object, *, expected: bool) -> None:
    assert same(left, right) is expected  # type: ignore[arg-type]  # any pair at all
    assert same(right, left) is expected  # type: ignore[arg-type]  # and the other way round
