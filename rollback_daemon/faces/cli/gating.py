"""Verbs that decide on raw result files, with no daemon running: `gate` and `shadow-diff`.

Lives here: options, files, exit codes. Must not live here: scoring (`evidence.scoring`), words (`show_gate`, `governance.gate_markdown`).
"""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

from rollback_daemon.faces.cli.client import FORMAT, NO, UNKNOWN, USAGE, Format, fail, print_json

if TYPE_CHECKING:
    from rollback_daemon.errors import Problem
    from rollback_daemon.evidence.scoring.raw_results import RawFile

_LABEL = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9_.-]{0,99}")


def gate(
    raw: Annotated[list[Path], typer.Option("--raw", metavar="FILE", help="A raw result file; may be given several times.")],
    stage: Annotated[int, typer.Option("--stage", help="The stage that the results are of, in percent: 10, 25, 50 or 100.")],
    latency_p95_sla_ms: Annotated[float, typer.Option("--latency-p95-sla-ms", help="What the p95 latency may be at most, in milliseconds.")],
    label: Annotated[str, typer.Option("--label", help="What the two files are called: LABEL_release_gate_stageN.json and .md.")],
    out_dir: Annotated[Path, typer.Option("--out-dir", help="Where they are written; made if it is not there.")],
    more: Annotated[list[Path] | None, typer.Argument(metavar="[FILES]...", help="More of them, as a shell makes of --raw *.json.")] = None,
    baseline_correction_rate: Annotated[
        str,
        typer.Option("--baseline-correction-rate", help="The rate of corrected answers before, 0.03 or 3%; it may not rise. Not asked if left out."),
    ] = "",
    min_pass_rate: Annotated[
        str, typer.Option("--min-pass-rate", help="How many of all first runs must have passed, 0.95 or 95%. Not asked if left out.")
    ] = "",
    force: Annotated[bool, typer.Option("--force", help="Overwrite files of that label that say something else.")] = False,
    output: FORMAT = Format.TABLE,
) -> None:
    """Decide on raw result files whether the next stage may be climbed to. 0 go, 1 no-go, 2 a mistake in a file, 3 cannot tell."""
    from rollback_daemon.errors import ConfigurationError
    from rollback_daemon.evidence.scoring import gate_report, release_gate
    from rollback_daemon.evidence.scoring.first_runs import first_runs

    if stage not in release_gate.STAGES:
        fail(f"--stage {stage} is no stage; they are {', '.join(map(str, release_gate.STAGES))}", USAGE)
    if not latency_p95_sla_ms > 0 or latency_p95_sla_ms == float("inf"):
        fail(f"--latency-p95-sla-ms {latency_p95_sla_ms:g} is no limit; it must be more than 0", USAGE)
    if not _LABEL.fullmatch(label):
        fail(f'--label "{label}" is no name of a file; use at most 100 letters, digits, "_", "-" and "."', USAGE)
    rates = [_rate("--baseline-correction-rate", baseline_correction_rate), _rate("--min-pass-rate", min_pass_rate)]
    order = release_gate.Order(stage, latency_p95_sla_ms, *rates)
    try:
        runs = first_runs(_read([*raw, *(more or [])]))
    except ConfigurationError as error:
        _broken(error)
    verdict = release_gate.judge(runs, order)
    document = gate_report.document(label, runs, verdict)
    written = _write(document, out_dir / f"{label}_release_gate_stage{stage}", force=force)
    if output is Format.JSON:
        print_json(document)
    else:
        from rollback_daemon.faces.cli import show_gate
        from rollback_daemon.faces.cli.terminal import clean, console

        show_gate.gate(console(), clean(document))
    typer.echo(f"written: {' and '.join(map(str, written))}", err=output is Format.JSON)
    _end(verdict.decision.value)


def shadow_diff(
    v2_raw: Annotated[Path, typer.Option("--v2-raw", metavar="FILE", help="The raw result file of the engine that serves now.")],
    v3_raw: Annotated[Path, typer.Option("--v3-raw", metavar="FILE", help="That of the engine in the shadow.")],
    out: Annotated[Path | None, typer.Option("--out", metavar="FILE", help="Also write the comparison as JSON to this file.")] = None,
    output: FORMAT = Format.TABLE,
) -> None:
    """Compare two engines on the same cases. 1 where a critical case regressed, 3 where one is missing or nothing can be compared."""
    from rollback_daemon.errors import ConfigurationError
    from rollback_daemon.evidence.scoring import shadow_diff as comparing

    try:
        old, new = _read([v2_raw, v3_raw])
        diff = comparing.compare(old, new)
    except ConfigurationError as error:
        _broken(error)
    document = comparing.document(diff)
    if out is not None:
        _write_one(out, _json(document))
    if output is Format.JSON:
        print_json(document)
    else:
        from rollback_daemon.faces.cli import show_gate
        from rollback_daemon.faces.cli.terminal import clean, console

        show_gate.shadow_diff(console(), clean(document))
    _end(diff.decision.value)


shadow_diff.__name__ = "shadow-diff"  # what the verb is called, which no function can be in Python


def _rate(option: str, said: str) -> float | None:
    from rollback_daemon.durations import parse_quantity

    if not said:
        return None
    try:
        rate = parse_quantity(said, "ratio")
    except ValueError as error:
        fail(f"{option}: {error}", USAGE)
    if not 0 <= rate <= 1:
        fail(f"{option} {said} is no rate; it must be from 0 to 1, or from 0% to 100%", USAGE)
    return rate


def _read(paths: Sequence[Path]) -> "list[RawFile]":
    """Every file. Raises ConfigurationError with the mistakes of all of them."""
    from functools import partial

    from rollback_daemon.clock import SystemClock
    from rollback_daemon.errors import ConfigurationError
    from rollback_daemon.evidence.kind import Source, guarded
    from rollback_daemon.evidence.scoring.raw_results import read_raw

    now, read, problems = SystemClock().now(), [], list["Problem"]()
    for path in paths:
        try:
            source = Source(_bytes(path), str(path), now)
            read.append(guarded(source, partial(read_raw, source)))
        except ConfigurationError as error:
            problems += error.problems
    if problems:
        raise ConfigurationError(problems)
    return read


def _bytes(path: Path) -> bytes:
    """What is in the file, and no more than shows that it is too large. Raises ConfigurationError where it cannot be read."""
    from rollback_daemon.errors import ConfigurationError, Problem
    from rollback_daemon.evidence.kind import MAX_BYTES

    reason = "is a pipe"  # reading it could wait for ever
    if not path.is_fifo():
        try:
            with path.open("rb") as file:
                return file.read(MAX_BYTES + 1)
        except OSError as error:
            reason = (error.strerror or type(error).__name__).lower()
    raise ConfigurationError([Problem(str(path), 0, 0, "", f"cannot be read: {reason}")])


def _broken(error: Any) -> NoReturn:
    from rollback_daemon.faces.cli.terminal import clean

    for problem in error.problems:
        typer.echo(clean(str(problem)), err=True)
    number = len(error.problems)
    fail(f"{number} problem{'s' if number > 1 else ''}; nothing was decided, and nothing written", USAGE)


def _json(document: dict[str, Any]) -> bytes:
    import json

    return (json.dumps(document, indent=2, ensure_ascii=False) + "\n").encode("utf-8", "backslashreplace")


def _write(document: dict[str, Any], stem: Path, *, force: bool) -> list[Path]:
    import hashlib

    from rollback_daemon.errors import FlagError
    from rollback_daemon.faces.cli.written_pair import Different, write_both
    from rollback_daemon.governance.gate_markdown import gate as markdown

    data = _json(document)
    text = markdown(document, hashlib.sha256(data).hexdigest())
    files = [stem.with_name(f"{stem.name}.json"), stem.with_name(f"{stem.name}.md")]
    try:
        write_both(files[1], text.encode("utf-8", "backslashreplace"), files[0], data, force=force)
    except Different as error:
        fail(f"it is {document['decision']}, but {error}; give another --label, or --force to overwrite", USAGE)
    except FlagError as error:
        fail(f"it is {document['decision']}, but cannot be written: {error}", USAGE)
    return files


def _write_one(path: Path, data: bytes) -> None:
    from rollback_daemon.errors import FlagError
    from rollback_daemon.faces.cli.written_pair import write_one

    try:
        write_one(path, data)
    except FlagError as error:
        fail(f"--out: {error}", USAGE)


def _end(decision: str) -> None:
    codes = {"go": 0, "no-go": NO, "cannot tell": UNKNOWN}
    raise typer.Exit(codes[decision])


VERBS = (gate, shadow_diff)
