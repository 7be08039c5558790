"""The report as Markdown: its shape is ours, whatever people write into the record."""

import re
import unicodedata
from collections.abc import Iterator

from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from markdown_it.token import Token

from rollback_daemon.governance.markdown import markdown, scorecard_markdown
from rollback_daemon.governance.tables import table, text
from tests.governance.tale import CARD, Tale

READER = MarkdownIt("commonmark").enable(["table", "strikethrough"])
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=40) | st.text("|\\`\n<>&*_-#[]()!~1.=+ a\r\u2028\u202e", max_size=30)


@given(TEXTS)
def test_no_text_breaks_out_of_a_row(said: str) -> None:
    rows = rows_of("\n".join(table(["A", "B", "C"], [["x", text(said), "y"]])))
    assert rows == [["A", "B", "C"], ["x", seen(said), "y"]]


@given(TEXTS.filter(lambda said: said.strip()))
def test_no_text_becomes_anything_but_a_text_in_a_line_or_a_list(said: str) -> None:
    for document in (f"- {text(said)}", text(said), f"## {text(said)}"):
        inline = [token for token in READER.parse(document) if token.type == "inline"]
        assert [plain(token) for token in inline] == [seen(said)]
        assert len([token for token in READER.parse(document) if token.type.endswith("_open")]) <= 3


@settings(max_examples=60, deadline=None)
@given(TEXTS, TEXTS)
def test_the_whole_report_keeps_its_shape_whatever_people_write(first: str, second: str) -> None:
    shape = [(title, len(row)) for title, row in cells(told("plain", "plain"))]
    assert [(title, len(row)) for title, row in cells(told(first, second))] == shape
    document = told(first, second)
    assert not any(token.type in {"html_block", "fence", "code_block", "hr"} for token in READER.parse(document))
    assert sum(line.startswith("#") for line in document.splitlines()) == sum(line.startswith("#") for line in told("plain", "plain").splitlines())


def told(first: str, second: str) -> str:
    """A report in which people write these everywhere."""
    tale = Tale()
    tale.adopted("baseline")
    tale.put("refused", request=second, by=first, reason=first, why=[second])
    tale.put("checkpoint", checkpoint=first, go=True, by=second, why=first, stage="baseline")
    read = {"figures": {"pass_rate": 0.97}, "excluded": [{"name": first, "reason": second, "outcome": first}], "notes": [second]}
    tale.put("evidence", evidence=first, by=second, why=first, stage="baseline", file=second, sha256=first, bytes=1, **read)
    tale.put("handoff", by=first, to=second, why=first, stage="baseline")
    tale.put("held", why=first, by=second)
    tale.proposed("canary", why=first)
    tale.voted(first, second, go=False, why=first, conditions=(second,))
    tale.put("resolved", id="p1", by=second, of=first, why=second)
    tale.moved("promote", "canary", proposal="p1", why=first, by=second)
    tale.moved("promote", "half", code="break_glass", past=[first, second], why=second)
    tale.drifted("higher", first, known={first: second}, missing=[second])
    tale.put("configured", file=first, sha256=second, rules=[], version="0.1.0")
    coming = {"from": first, "failed": second}
    made = {"evidence": first, "kind": "junit", "figures": {}, "max_age": "1d", "made": None, "by": second, "sha256": first, "coming": coming}
    return markdown(
        tale.report(evidence=[{**made, "why": "x" + second}], owner="x" + first, broken_glass="x" + second, degraded={first: second}, next=first)
    )


def test_the_scorecard_is_a_document_too() -> None:
    document = scorecard_markdown(CARD)
    assert document.startswith(
        "# checkout: scorecard\n\ncanary -> half: **GO with monitoring**, 71.4 of 100 (GO from 90 on, with monitoring from 70 on)."
    )
    assert "| **fail** | soak | yes | soaked 1m of 1h |" in document.splitlines()


def test_what_is_run_on_a_schedule_takes_a_row_for_as_long_as_it_comes_to_the_same() -> None:
    tale = Tale()
    run = {"evidence": "soak", "why": "run on schedule", "stage": "canary", "file": "soak.json", "bytes": 9}
    for number, (by, games) in enumerate([("rollbackd", 15), ("rollbackd", 15), ("rollbackd", 14), ("ann", 14), ("ann", 14), ("rollbackd", 15)]):
        tale.put("evidence", **run, by=by, sha256=str(number) * 64, figures={"games": games})
        tale.put("evidence", **{**run, "evidence": "parity"}, by="rollbackd", sha256="f" * 64, figures={"cases": 19})
    [*_, section] = [part for part in markdown(tale.report()).split("\n## ") if part.startswith("Evidence\n")]
    rows = [row for _, row in cells(section) if row[0] != "Record"]
    assert [(row[2], row[10]) for row in rows] == [
        ("soak, 2 times", "games 15"),
        ("parity, 6 times", "cases 19"),
        ("soak", "games 14"),
        ("soak", "games 14"),
        ("soak", "games 14"),
        ("soak", "games 15"),
    ]
    assert "| `2` to `12` | 2026-03-01 12:00:02 UTC to 2026-03-01 12:00:12 UTC | parity, 6 times |" in section


def seen(said: str) -> str:
    """A text as a reader sees it: on one line, and nothing hidden."""
    line = re.sub(r"\s+", " ", said).strip()
    hidden = {"Cc", "Cf", "Co", "Cn", "Zl", "Zp"}
    return "".join(f"\\u{ord(one):04x}" if unicodedata.category(one) in hidden else one for one in line) or "-"


def plain(token: Token) -> str:
    """The text of an inline token. Anything in it that is no text is an error."""
    assert all(child.type in {"text", "text_special"} for child in token.children or []), token.children
    return "".join(child.content for child in token.children or [])


def rows_of(document: str) -> list[list[str]]:
    """The cells of every row of its tables."""
    rows: list[list[str]] = []
    for token in READER.parse(document):
        if token.type == "tr_open":
            rows.append([])
        elif token.type == "inline" and rows:
            rows[-1].append(plain(token))
    return rows


def cells(document: str) -> Iterator[tuple[str, list[str]]]:
    """Every row of the document's tables, with the heading that it stands under."""
    title, rows, inside = "", list[list[str]](), False
    for token in READER.parse(document):
        if token.type == "heading_close":
            inside = False
        elif token.type == "heading_open":
            title = token.tag
        elif token.type == "tr_open":
            rows.append([])
            inside = True
        elif token.type == "tr_close":
            inside = False
            yield title, rows[-1]
        elif token.type == "inline" and inside:
            rows[-1].append(token.content)
