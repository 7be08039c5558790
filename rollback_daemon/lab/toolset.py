"""Which Prometheus and Alertmanager programs are on this machine.

Looked for on PATH, in `.tools/bin` of the checkout (where `deploy/install-tools.sh` puts them) and in the folder
`$PROMETHEUS_DIR`, whose files may carry their version: `prometheus-3.5.3`, `promtool-3.5.3`,
`prometheus-alertmanager-0.33.1`. Lives here: finding. Must not live here: starting (`servers`) and installing.
"""

import os
import re
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

CHECKOUT = Path(__file__).parents[2]
NO_SERVER = 'no Prometheus on PATH, in .tools/bin or in $PROMETHEUS_DIR; "make tools" gets one, or name it by --prometheus-binary'
MISSING = 'no Prometheus with an Alertmanager on PATH, in .tools/bin or in $PROMETHEUS_DIR; "make tools" gets them'
_PROGRAM = re.compile(r"(prometheus|promtool|(?:prometheus-)?alertmanager|amtool)(?:-(\d+\.\d+\S*))?")
_VERSION = re.compile(r"version v?(\d+\.\d+\.\d+)")


@dataclass(frozen=True, slots=True)
class Toolset:
    """One Prometheus (`version` is its own), the programs that came with it, and an Alertmanager to go with it."""

    prometheus: Path
    promtool: Path | None
    alertmanager: Path
    amtool: Path | None
    version: str


def toolsets(environment: Mapping[str, str] = os.environ, checkout: Path = CHECKOUT) -> list[Toolset]:
    """Every Prometheus found, each version once: PATH first, then `.tools/bin`, then `$PROMETHEUS_DIR` from old to new.

    Each is paired with the newest Alertmanager of the same place; a Prometheus without one is left out, as is a program
    that does not run.
    """
    places = [_on_path(environment.get("PATH", os.defpath)), _in_folder(checkout / ".tools" / "bin")]
    if folder := environment.get("PROMETHEUS_DIR"):
        places.append(_in_folder(Path(folder)))
    found: dict[str, Toolset] = {}
    for programs in places:
        for tools in _paired(programs):
            found.setdefault(tools.version, tools)
    return list(found.values())


def server_program(environment: Mapping[str, str] = os.environ, checkout: Path = CHECKOUT) -> tuple[Path, str] | None:
    """The first Prometheus found, in the order of `toolsets`, with its version; it needs no Alertmanager beside it. None where there is none."""
    places = [_on_path(environment.get("PATH", os.defpath)), _in_folder(checkout / ".tools" / "bin")]
    if folder := environment.get("PROMETHEUS_DIR"):
        places.append(_in_folder(Path(folder)))
    return next(((one.path, version) for programs in places for version, one in _by_version(programs, "prometheus")), None)


def version_of(program: Path) -> str | None:
    """What the program says its version is; None where it does not run, or does not say."""
    return _version(program)


@dataclass(frozen=True, slots=True)
class _Program:
    kind: str
    suffix: str
    path: Path


def _program(path: Path) -> _Program | None:
    match = _PROGRAM.fullmatch(path.name)
    if match is None or not os.access(path, os.X_OK) or not path.is_file():
        return None
    return _Program(match[1].removeprefix("prometheus-"), match[2] or "", path)


def _on_path(path: str) -> list[_Program]:
    names = ("prometheus", "promtool", "prometheus-alertmanager", "alertmanager", "amtool")
    candidates = (shutil.which(name, path=path) for name in names)
    return [program for at in candidates if at and (program := _program(Path(at)))]


def _in_folder(folder: Path) -> list[_Program]:
    return [program for at in sorted(folder.glob("*")) if (program := _program(at))]


def _paired(programs: list[_Program]) -> list[Toolset]:
    alertmanagers = _by_version(programs, "alertmanager")
    if not alertmanagers:
        return []
    alertmanager = alertmanagers[-1][1]
    return [
        Toolset(
            prometheus=prometheus.path,
            promtool=_companion(programs, "promtool", prometheus),
            alertmanager=alertmanager.path,
            amtool=_companion(programs, "amtool", alertmanager),
            version=version,
        )
        for version, prometheus in _by_version(programs, "prometheus")
    ]


def _companion(programs: list[_Program], kind: str, of: _Program) -> Path | None:
    return next((one.path for one in programs if one.kind == kind and one.suffix == of.suffix), None)


def _by_version(programs: list[_Program], kind: str) -> list[tuple[str, _Program]]:
    """Version and program, from old to new; programs that do not tell their version are left out."""
    known = [(version, one) for one in programs if one.kind == kind and (version := _version(one.path))]
    return sorted(known, key=lambda pair: tuple(map(int, pair[0].split("."))))


@cache
def _version(path: Path) -> str | None:
    try:
        answer = subprocess.run([path, "--version"], capture_output=True, text=True, timeout=20, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    match = _VERSION.search(answer.stdout + answer.stderr)  # Prometheus before 2.45 or so tells it on stderr
    return match[1] if match else None
