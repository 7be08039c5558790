"""Results as JUnit XML, with the elements and attributes that CI systems read.

The form is that of Jenkins' and Surefire's schema: testsuites, a testsuite for each file, a testcase for each case; what failed is a failure, what
could not be told an error. Lives here: that document.
"""

import re
from collections.abc import Mapping, Sequence
from itertools import groupby
from pathlib import Path
from xml.etree import ElementTree as ET

from rollback_daemon.lab.testing.results import Outcome, Result
from rollback_daemon.lab.testing.telling import report

_FORBIDDEN = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")  # characters that XML cannot hold


def document(results: Sequence[Result], properties: Mapping[str, str]) -> bytes:
    """The whole document; `properties` stand in every suite."""
    root = ET.Element("testsuites", {"name": "rollbackd test", **_counts(results)})
    for file, same in groupby(results, key=lambda one: one.case.file):
        group = list(same)
        suite = ET.SubElement(root, "testsuite", {"name": _clean(file), "hostname": "localhost", **_counts(group)})
        known = ET.SubElement(suite, "properties")
        for name, value in properties.items():
            ET.SubElement(known, "property", {"name": name, "value": _clean(value)})
        for one in group:
            _case(suite, one)
    ET.indent(root)
    return bytes(ET.tostring(root, encoding="utf-8", xml_declaration=True)) + b"\n"


def _counts(results: Sequence[Result]) -> dict[str, str]:
    outcomes = [one.outcome for one in results]
    return {
        "tests": str(len(results)),
        "failures": str(outcomes.count(Outcome.FAILED)),
        "errors": str(outcomes.count(Outcome.UNTOLD)),
        "skipped": str(outcomes.count(Outcome.SKIPPED)),
        "time": f"{sum(one.seconds for one in results):.3f}",
    }


def _case(suite: ET.Element, one: Result) -> None:
    attributes = {"name": one.case.name, "classname": Path(one.case.file).stem, "file": one.case.file, "line": str(one.case.line)}
    case = ET.SubElement(suite, "testcase", {**{name: _clean(text) for name, text in attributes.items()}, "time": f"{one.seconds:.3f}"})
    said = "\n".join(report(one))
    if one.outcome is Outcome.FAILED:
        ET.SubElement(case, "failure", {"message": _clean(str(one.failures[0])), "type": "expectation"}).text = _clean(said)
    elif one.outcome is Outcome.UNTOLD:
        ET.SubElement(case, "error", {"message": _clean(one.why), "type": "could not tell"}).text = _clean(said)
    elif one.outcome is Outcome.SKIPPED:
        ET.SubElement(case, "skipped")


def _clean(text: str) -> str:
    return _FORBIDDEN.sub("", text)
