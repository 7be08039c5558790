"""Rules of other tools as triggers: Prometheus' alerting rules, Argo's analyses, Flagger's metrics.

`FORMATS` is the registry: a format costs one source file, one line here and one test file. Lives here: reading files, and which format an object
is of. Must not live here: any format.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from rollback_daemon import documents
from rollback_daemon.errors import ConfigurationError, Problem
from rollback_daemon.lab.importing import argo, flagger, prometheus_rules
from rollback_daemon.lab.importing.draft import Draft, NoteKind, Wanted
from rollback_daemon.lab.importing.nodes import Node


@dataclass(frozen=True, slots=True)
class Format:
    """What can be imported: how its objects are recognised, and how they become signals and triggers."""

    what: str
    recognise: Callable[[Node], bool]
    convert: Callable[[Sequence[Node], Draft], None]


FORMATS: Mapping[str, Format] = {
    "prometheus": Format("alerting rules (groups, or PrometheusRule)", prometheus_rules.recognise, prometheus_rules.convert),
    "argo": Format("AnalysisTemplate and ClusterAnalysisTemplate of Argo Rollouts", argo.recognise, argo.convert),
    "flagger": Format("MetricTemplate and Canary of Flagger", flagger.recognise, flagger.convert),
}


def gather(files: Iterable[str | Path], wanted: Wanted) -> Draft:
    """Everything in the files that can be carried over. Raises ConfigurationError with every file that cannot be read or is of no format."""
    draft = Draft(wanted)
    found: dict[str, list[Node]] = {name: [] for name in FORMATS}
    for file in dict.fromkeys(map(str, files)):
        try:
            _sort(file, found, draft)
        except ConfigurationError as error:
            draft.problems += error.problems
    for name, nodes in found.items():
        FORMATS[name].convert(nodes, draft)
    if draft.problems:
        raise ConfigurationError(draft.problems)
    return draft


def _sort(file: str, found: Mapping[str, list[Node]], draft: Draft) -> None:
    """Put the objects of one file where their formats look for them."""
    others: list[Node] = []
    known, before = False, len(draft.problems)
    read = _documents(file)
    for document in read:
        draft.problems += document.problems
        for node in _objects(Node(document, draft.problems.append, (), document.value)):
            name = next((name for name, format_ in FORMATS.items() if format_.recognise(node)), None)
            if name is None:
                others.append(node)
                continue
            known = True
            found[name].append(node)
    if not known and len(draft.problems) == before:
        what = "has nothing in it that can be imported" if read else "is empty"
        text = f"{what}{_looks_like(others)}; known are {', '.join(one.what for one in FORMATS.values())}"
        raise ConfigurationError([others[0].problem(text) if others else Problem(file, 0, 0, "", text)])
    for node in others if known else ():
        draft.note(NoteKind.STAYS, node, f"is passed over{_looks_like([node])}; there is nothing in it to import")


def _documents(file: str) -> list[documents.Document]:
    try:
        return documents.read_all(file)
    except ConfigurationError as error:
        templated = Path(file).is_file() and any(mark in Path(file).read_bytes() for mark in (b"{{-", b"{{ if", b"{{ .Values", b"{{ include"))
        if not templated:
            raise
        hint = "it looks like a template of Helm, which is to be rendered first (helm template)"
        raise ConfigurationError([Problem(one.file, one.line, one.column, one.path, f"{one.text}; {hint}") for one in error.problems]) from error


def _objects(node: Node) -> Iterator[Node]:
    """The object itself, or those in a List."""
    if isinstance(node.value, dict) and str(node.value.get("kind", "")).endswith("List") and "items" in node.value:
        for item in node.at("items").entries():
            yield from _objects(item)
    else:
        yield node


def _looks_like(nodes: Sequence[Node]) -> str:
    kinds = [str(node.value["kind"]) for node in nodes if isinstance(node.value, dict) and "kind" in node.value]
    return f" (it is a {', '.join(dict.fromkeys(kinds))})" if kinds else ""
