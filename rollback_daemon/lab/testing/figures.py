"""Figures of evidence in a test: what a file that is handed in comes to, without the file.

Lives here: their values in the units of the kind, and which figures there are. Must not live here: what counts (the judge).
"""

from collections.abc import Iterator, Mapping
from typing import Any

from rollback_daemon.documents import Step
from rollback_daemon.documents.complaints import did_you_mean
from rollback_daemon.durations import parse_quantity
from rollback_daemon.evidence import KINDS
from rollback_daemon.lab.testing.act_forms import EvidencePart
from rollback_daemon.rules.build_evidence import unit_of
from rollback_daemon.rules.duties import Declared
from rollback_daemon.rules.model import Rollout


def measured(declared: Declared, written: Mapping[str, Any]) -> dict[str, float]:
    """The figures as numbers in the units of the kind."""
    return {name: parse_quantity(value, unit_of(declared.kind, name)) for name, value in written.items()}


def mistakes(rollout: Rollout, part: EvidencePart) -> Iterator[tuple[tuple[Step, ...], str]]:
    """What is wrong with the figures of one file."""
    declared = rollout.declared(part.evidence)
    if declared is None:
        if part.figures is not None:
            yield ("figures",), f'the rules do not declare the evidence "{part.evidence}", so nothing is read of it; leave figures out'
        return
    known = KINDS[declared.kind].figures
    if part.figures is None:
        yield (), f"needs the figures that the file comes to: figures: {{{next(iter(known))}: ...}}, of {', '.join(known)}"
    for name, value in (part.figures or {}).items():
        if name not in known:
            yield ("figures", name), f'the kind {declared.kind} has no field "{name}"; {did_you_mean(name, known)}'
            continue
        try:
            parse_quantity(value, unit_of(declared.kind, name))
        except ValueError as error:
            yield ("figures", name), str(error)
