"""The judge of the crash tests is judged: each thing that must not be in a journal is found when it is there."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from rollback_daemon.journal.journal import Record
from tests.crashes.ladder import flags_at, stage_of
from tests.crashes.verdict import tell, unexplained_rises

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
Line = tuple[str, Mapping[str, Any]]
ADOPTED: Line = ("adopted", {"stage": "baseline", "phase": "baseline"})
READY: Line = ("ready", {"stage": "canary"})


def at(seconds: float) -> datetime:
    return NOON + timedelta(seconds=seconds)


def journal(*lines: Line) -> list[Record]:
    """One record a second."""
    return [Record(number + 1, at(number), "crash", kind, body, "") for number, (kind, body) in enumerate(lines)]


def intended(name: str, kind: str, origin: str, target: str, *activations: str) -> Line:
    return ("intended", {"id": name, "kind": kind, "from": origin, "to": target, "flags": {}, "why": ["?"], "activations": list(activations)})


def applied(name: str, kind: str) -> Line:
    return ("applied", {"id": name, "kind": kind})


def ran(name: str, kind: str, error: str = "") -> Line:
    return ("ran", {"id": name, "kind": kind, "error": error})


def done(name: str, kind: str, origin: str, target: str) -> Line:
    return ("done", {"id": name, "kind": kind, "from": origin, "to": target})


def promoted(name: str, origin: str, target: str) -> list[Line]:
    return [intended(name, "promote", origin, target), applied(name, "promote"), ran(name, "promote"), done(name, "promote", origin, target)]


def faults(*lines: Line) -> list[str]:
    return tell(journal(ADOPTED, *lines)).faults


def test_a_whole_story_has_no_fault() -> None:
    back = [intended("b", "rollback", "canary", "baseline", "E@1"), applied("b", "rollback"), ran("b", "rollback")]
    told = tell(journal(ADOPTED, *promoted("a", "baseline", "canary"), *back, done("b", "rollback", "canary", "baseline")))
    assert told.faults == []
    assert told.open is None
    assert told.position is not None
    assert told.position.stage == "baseline"


def test_the_last_one_may_be_open() -> None:
    told = tell(journal(ADOPTED, intended("a", "promote", "baseline", "canary")))
    assert told.faults == []
    assert told.open is not None


def test_one_overtaken_needs_no_other_end() -> None:
    both = [intended("a", "promote", "baseline", "canary"), intended("b", "rollback", "baseline", "baseline", "E@1")]
    assert faults(*both, done("b", "rollback", "baseline", "baseline")) == []


def test_two_writes_are_found() -> None:
    first, second, *rest = promoted("a", "baseline", "canary")
    assert faults(first, second, second, *rest) == ["a: its flags were written 2 times"]


def test_a_second_end_is_found() -> None:
    found = faults(*promoted("a", "baseline", "canary"), done("a", "promote", "baseline", "canary"))
    assert "a: 2 ends: done, done" in found
    assert "record 6: done of a after its end (done)" in found


def test_what_was_never_intended_is_found() -> None:
    assert "record 2: done of a, which was never intended" in faults(done("a", "rollback", "canary", "baseline"))


def test_what_goes_on_after_it_was_overtaken_is_found() -> None:
    both = [intended("a", "promote", "baseline", "canary"), intended("b", "rollback", "baseline", "baseline"), ran("a", "promote")]
    assert "record 4: ran of a after its end (overtaken)" in faults(*both)


def test_a_transition_intended_twice_is_found() -> None:
    one = intended("a", "promote", "baseline", "canary")
    assert "record 3: a is intended a second time" in faults(one, one)


def test_a_rollback_that_raises_is_found() -> None:
    assert faults(intended("a", "rollback", "baseline", "half")) == ["a: a rollback that raises"]


def test_a_promotion_that_jumps_is_found() -> None:
    assert faults(intended("a", "promote", "baseline", "half")) == ["a: a promotion by 2 stages"]


def test_a_command_that_did_not_run_after_the_write_is_found() -> None:
    first, second, _, last = promoted("a", "baseline", "canary")
    assert faults(first, second, last) == ["a: done, but its command did not run"]
    assert faults(first, second, ran("a", "promote", "exited with 1"), last) == ["a: done, but its command did not run"]


def test_an_activation_that_acts_twice_at_a_stage_is_found() -> None:
    there = [*promoted("a", "baseline", "canary"), READY, *promoted("b", "canary", "half")]
    twice = [intended("c", "rollback", "half", "canary", "E@1"), intended("d", "rollback", "half", "canary", "E@1")]
    assert faults(*there, *twice) == ["d: E@1 had already led to c"]
    deeper = [twice[0], intended("d", "rollback", "half", "baseline", "E@1", "L@1")]
    assert faults(*there, *deeper) == [], "further down, together with another, is no second time"


def test_a_rise_without_a_promotion_is_found() -> None:
    stories = tell(journal(ADOPTED, *promoted("a", "baseline", "canary"))).stories
    seen = [(at(0), "baseline"), (at(2), "canary"), (at(3), "baseline"), (at(4), "canary")]
    assert list(unexplained_rises(seen[:3], stories)) == []
    assert len(list(unexplained_rises(seen, stories))) == 1, "one promotion explains one rise"
    assert len(list(unexplained_rises([(at(0), "baseline"), (at(0.5), "canary")], stories))) == 1, "not one that comes later"


def test_a_flag_file_is_known_to_the_byte() -> None:
    assert stage_of(flags_at("half")) == "half"
    assert stage_of(flags_at("half") + b"\n") is None
    assert stage_of(flags_at("half").replace(b"50", b"80")) == "most"
    assert stage_of(flags_at("half")[:-1]) is None
