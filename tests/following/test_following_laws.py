"""Whatever is appended, cut, renamed, copied and emptied: what is seen is what a reader of all lines ever written would see in the window."""

import json
import tempfile
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from rollback_daemon.following.log import Log
from rollback_daemon.signals.observation import Failed, NoData, Value
from tests.following.writer import NOON, Writer, asked

steps = st.one_of(
    st.tuples(st.just("line"), st.floats(0, 5)),
    st.tuples(st.just("half"), st.just(0.0) | st.floats(0.15, 1)),  # of less, two files that begin alike cannot be told apart
    st.tuples(st.just("tick"), st.floats(0.01, 15)),
    st.tuples(st.sampled_from(["look", "look", "rename", "rename and create", "reopen", "copy and empty", "begin anew"]), st.none()),
)


class Story:
    """A writer, a reader, and what was done to the file."""

    def __init__(self, folder: Path) -> None:
        self.writer = Writer(folder)
        self.log = Log(str(self.writer.path))
        self.is_renamed = self.has_looked = False

    def do(self, what: str, how: Any) -> None:
        writer = self.writer
        match what:
            case "line":
                writer.line(how)
            case "half":
                writer.half(how)
            case "tick":
                writer.now += timedelta(seconds=how)
            case "look":
                self.look()
            case "rename" | "rename and create" if not self.is_renamed:
                # renamed twice between two looks, and not there at the second: what is in between is seen as soon as it is there again
                writer.rename(create=what == "rename and create" or not self.has_looked)
                self.is_renamed, self.has_looked = True, False
            case "reopen" if self.is_renamed:
                writer.reopen()
                self.is_renamed = False
            case "copy and empty" if not self.is_renamed:
                if not self.has_looked:  # who has not seen the file itself cannot put a torn line together, and tells it
                    writer.finish()
                writer.copy_and_empty()
            case "begin anew" if not writer.is_torn and writer.path.exists():
                self.has_looked = False
                self.log.close()
                self.log = Log(str(writer.path))

    def look(self) -> None:
        self.has_looked = self.has_looked or self.writer.path.exists()
        path, seen = self.writer.path, self.writer.values()
        wanted = {"sum": float(sum(seen)), "count": float(len(seen))} | ({"last": float(seen[-1]), "max": float(max(seen))} if seen else {})
        questions = {asked(path, aggregate): value for aggregate, value in wanted.items()}
        answers = self.log.ask(questions, self.writer.now, time.monotonic() + 10)
        for question, value in questions.items():
            answer = answers[question]
            if isinstance(answer, Value):
                assert (answer.series[()], answer.unknown) == (value, {}), question
            elif path.exists():
                assert isinstance(answer, NoData), answer
                assert not seen


facts = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=5), st.datetimes().map(str), st.lists(st.integers(), max_size=2)
)
lines = st.one_of(
    st.binary(max_size=30),
    st.dictionaries(st.sampled_from(["timestamp", "v", "w"]), facts).map(lambda one: json.dumps(one).encode()),
    st.integers(2, 50).map(lambda digits: b'{"timestamp": ' + b"9" * digits + b', "v": 1}'),
)


@given(st.lists(lines, max_size=20), st.sampled_from(["sum", "count", "p95"]))
def test_no_line_whatever_is_more_than_unreadable(written: list[bytes], aggregate: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "observability.jsonl"
        path.write_bytes(b"\n".join(written))
        log = Log(str(path))
        (answer,) = log.ask([asked(path, aggregate)], NOON, time.monotonic() + 10).values()
        assert isinstance(answer, (Value, NoData, Failed))
        log.close()


@given(st.lists(steps, max_size=40))
def test_what_is_seen_is_what_was_written(told: list[tuple[str, Any]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        story = Story(Path(folder))
        for what, how in told:
            story.do(what, how)
        story.do("reopen", None)
        story.writer.finish()
        story.look()
        story.writer.close()
        story.log.close()
