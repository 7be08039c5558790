"""The checks of the preflight on what is on this machine: disks, the flag file and its folder, backups.

Lives here: looking, without changing anything. Must not live here: how a flag file is read or written (`flags`).
"""

import glob
import json
import os
import re
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from rollback_daemon.durations import format_coarse, format_duration
from rollback_daemon.errors import FlagError, Refused
from rollback_daemon.flags.store import FlagStore, FlagValue
from rollback_daemon.governance.finding import Finding
from rollback_daemon.judge import lesser, required_config
from rollback_daemon.judge.drift import Drift, locate
from rollback_daemon.judge.position import Position
from rollback_daemon.judge.reasons import Outcome
from rollback_daemon.rules.duties import Backups
from rollback_daemon.rules.model import Rollout

MOUNTS = Path("/proc/self/mountinfo")
_AHEAD = timedelta(minutes=1)  # how far two clocks may differ before a file of the future says nothing about its age


def disks(flags: Path, journal: Path | None, share: float) -> Iterator[Finding]:
    """Whether at least `share` (0-1) of each file system is free that flags or journal are on. What is kept back for root is not free."""
    known: dict[int, Finding] = {}
    for what, file in (("flags", flags), ("journal", journal)):
        if file is None:
            continue
        folder, name = _target(file).parent, f"disk of the {what}"
        try:
            device = folder.stat().st_dev
            usage = shutil.disk_usage(folder)
        except OSError as error:
            yield Finding(name, Outcome.UNKNOWN, f"{folder}: {_reason(error)}")
            continue
        first = known.get(device)
        finding = (
            replace(first, check=name, evidence=f"the same as the {first.check}") if first else _disk(name, folder, usage.free, usage.total, share)
        )
        known.setdefault(device, finding)
        yield finding


def _disk(name: str, folder: Path, free: int, total: int, share: float) -> Finding:
    if not total:
        return Finding(name, Outcome.UNKNOWN, f"{folder}: the file system does not tell its size")
    said = f"{folder}: {free / total * 100:.1f} % free ({_size(free)} of {_size(total)}), at least {share * 100:g} % needed"
    return Finding(name, Outcome.PASS if free >= share * total else Outcome.FAIL, said)


def flags(rollout: Rollout, position: Position | None, store: FlagStore) -> Iterator[Finding]:
    """Whether the flags can be read, are all there, and are those of the stage on record; of the baseline where there is no record."""
    try:
        values = store.read(rollout.keys | rollout.config_keys).values
    except FlagError as error:
        yield Finding("flag file", Outcome.FAIL if isinstance(error, Refused) else Outcome.UNKNOWN, str(error))
        yield Finding("flags", Outcome.UNKNOWN, "they cannot be read")
        yield from _config(rollout, position, "see the flag file")
        return
    missing = sorted(rollout.keys - values.keys())
    if missing:
        said = f"{store.describe()} lacks {', '.join(missing)}"
    else:
        said = f"{store.describe()} has " + ("its one key" if len(rollout.keys) == 1 else f"all {len(rollout.keys)} keys")
    yield Finding("flag file", Outcome.FAIL if missing else Outcome.PASS, said)
    yield _expected(rollout, position, values)
    yield from _config(rollout, position, values)


def _expected(rollout: Rollout, position: Position | None, values: Mapping[str, FlagValue]) -> Finding:
    if position is not None and position.open is not None:
        return Finding(
            "flags", Outcome.UNKNOWN, f"they are on their way to {position.open.target} ({position.open.kind}); ask again when they are there"
        )
    ladder = lesser.ladder(rollout, position.degraded) if position else rollout
    stage = (ladder.stage(position.stage) if position else None) or ladder.stages[0]
    found = locate(ladder, stage, values)
    degraded = ", degraded" if position and position.degraded else ""
    if found.drift is Drift.NONE:
        return Finding("flags", Outcome.PASS, f"those of {stage.name}{degraded}")
    wrong = [f"{key} is {_text(values, key)}, must be {json.dumps(value, ensure_ascii=False)}" for key, (value, _) in (found.keys or {}).items()]
    whose = f"; these are those of {found.stage.name}" if found.stage else ""
    return Finding("flags", Outcome.FAIL, f"not those of {stage.name}{degraded}: {', '.join(wrong)}{whose}")


def _config(rollout: Rollout, position: Position | None, values: Mapping[str, FlagValue] | str) -> Iterator[Finding]:
    """Whether the configuration is what the stage on record and the next one require."""
    stage, goal = required_config.concerned(rollout, position)
    for check in required_config.checks(required_config.settings(stage, goal, values)):
        yield Finding(check.name, check.outcome, check.evidence.removeprefix("config "))


def folder(path: Path, mounts: Path = MOUNTS) -> Finding:
    """Whether the flag file can be replaced by another in its place. `mounts` is where the kernel lists mount points."""
    why_not = _not_replaceable(path, mounts)
    return Finding("flag folder", Outcome.FAIL if why_not else Outcome.PASS, why_not or f"{_target(path).parent} can be written")


def _not_replaceable(path: Path, mounts: Path) -> str:
    """Why a new file cannot take the place of this one; empty where it can."""
    target = _target(path)
    if not os.access(target.parent, os.F_OK):
        return f"{target.parent} is not there, or this user cannot see it; create it, or correct the path"
    if not os.access(target.parent, os.W_OK | os.X_OK, effective_ids=os.access in os.supports_effective_ids):
        return f"{target.parent} cannot be written by this user; a flag file is replaced, not written in place"
    if str(target) in _mount_points(mounts):
        return f"{target} is a mount point of its own and cannot be replaced; mount the folder, not the file"
    return ""


def _mount_points(mounts: Path) -> set[str]:
    try:
        lines = mounts.read_text(encoding="utf-8", errors="surrogateescape").splitlines()
    except OSError:  # no Linux: a write will say so
        return set()
    points = (line.split(" ")[4] for line in lines if line.count(" ") > 4)
    return {re.sub(r"\\([0-7]{3})", lambda octal: chr(int(octal[1], 8)), point) for point in points}


def own_backup(path: Path, now: datetime, mounts: Path = MOUNTS) -> Finding:
    """The newest copy that rollbackd itself has made of the flag file; whether it could make one, where there is none."""
    target = _target(path)
    if _not_replaceable(path, mounts):
        return Finding("backup of the flags", Outcome.FAIL, f"none can be made in {target.parent}")
    newest = _newest(f"{glob.escape(str(target))}.rollbackd-*.bak")
    if newest is not None:
        return Finding("backup of the flags", Outcome.PASS, f"{newest[0]}, {_age(newest[1], now)}")
    try:
        fits = target.stat().st_size <= shutil.disk_usage(target.parent).free
    except OSError as error:
        return Finding("backup of the flags", Outcome.UNKNOWN, f"{target}: {_reason(error)}")
    said = f"none yet; one is made in {target.parent} before the first change" if fits else f"none yet, and no room for one in {target.parent}"
    return Finding("backup of the flags", Outcome.PASS if fits else Outcome.FAIL, said)


def backups(wanted: Backups, now: datetime) -> Finding:
    """Whether the newest file of a pattern is young enough, and not empty."""
    name, newest = f"backup {wanted.pattern}", _newest(wanted.pattern)
    if newest is None:
        return Finding(name, Outcome.FAIL, "there is no such file that this user can see")
    path, status = newest
    said = f"the newest is {path}, {_age(status, now)}"
    old = now - _modified(status)
    if status.st_size == 0:
        return Finding(name, Outcome.FAIL, f"{said}, and empty")
    if old > wanted.within:
        return Finding(name, Outcome.FAIL, f"{said}; must be at most {format_duration(wanted.within)}")
    if old < -_AHEAD:
        return Finding(name, Outcome.UNKNOWN, f"{said}; the clocks disagree")
    return Finding(name, Outcome.PASS, said)


def _target(path: Path) -> Path:
    """Where the path leads, every symbolic link followed; a loop of links leads to itself."""
    return Path(os.path.realpath(path))


def _newest(pattern: str) -> tuple[Path, os.stat_result] | None:
    """The regular file of the pattern that was written last."""
    found: list[tuple[Path, os.stat_result]] = []
    for name in glob.iglob(pattern, recursive=True):  # noqa: PTH207 (an absolute pattern stays absolute)
        path = Path(name)
        try:
            if path.is_file():
                found.append((path, path.stat()))
        except OSError:  # gone in between
            continue
    return max(found, key=lambda one: (one[1].st_mtime_ns, str(one[0])), default=None)


def _modified(status: os.stat_result) -> datetime:
    return datetime.fromtimestamp(status.st_mtime, UTC)


def _age(status: os.stat_result, now: datetime) -> str:
    old = now - _modified(status)
    return f"{format_coarse(old)} old" if old >= timedelta() else f"{format_coarse(-old)} in the future"


def _text(values: Mapping[str, FlagValue], key: str) -> str:
    return json.dumps(values[key], ensure_ascii=False) if key in values else "absent"


def _size(count: float) -> str:
    for unit in ("B", "KiB", "MiB", "GiB"):
        if count < 1024:
            return f"{count:.1f} {unit}"
        count /= 1024
    return f"{count:.1f} TiB"


def _reason(error: OSError) -> str:
    return (error.strerror or type(error).__name__).lower()
