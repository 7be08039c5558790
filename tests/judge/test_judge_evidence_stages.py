"""Evidence that tells of one stage, and what its figures must be: every stage needs its own, and what failed takes nothing back a second time."""

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rollback_daemon.errors import OperationRefused
from rollback_daemon.judge import consent, figures, promotion, requests
from rollback_daemon.judge.precedence import OnRecord, Outside, Superseded
from rollback_daemon.judge.reasons import Code
from rollback_daemon.judge.refusal import Person, Refusal
from rollback_daemon.judge.transitions import Event, Phase
from rollback_daemon.rules.load import load
from rollback_daemon.rules.model import Rollout
from tests.judge.world import START, World, flags_of, intents

SECOND, HOUR = timedelta(seconds=1), timedelta(hours=1)
STEP = 15 * SECOND
RULES = """
rollout: checkout
owner: ann
interval: 15s
flags: {store: dotenv, path: .env}
baseline: {NEW: "no"}
evidence:
  gate: {kind: release_gate, max_age: 3d, per_stage: true}
stages:
  - {stage: ten, exposure: 10%, set: {NEW: "10"}}
  - {stage: half, exposure: 50%, set: {NEW: "50"}, requires: {evidence: [{evidence: gate, figures: {stage: 10, overall_go: 1}}]}}
  - {stage: all, exposure: 100%, set: {NEW: "100"}, requires: {evidence: [{evidence: gate, within: 3d, figures: {first_runs: {at_least: 8}}}]}}
signals:
  failed: {evidence: gate, field: checks_failed, no_data: ignore}
triggers:
  - {alert: GateFailed, signal: failed, above: 0, action: {rollback: baseline}}
rehearsal: {to: baseline, steps: [{command: ["true"]}]}
"""
BY = Person("ann", frozenset())
Handed = tuple[str, dict[str, float], datetime | None]
"""A file: its digest, its figures, and when it says that it was made."""


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Rollout:
    file = tmp_path_factory.mktemp("rules") / "checkout.yml"
    file.write_text(RULES, encoding="utf-8")
    return load(file)


class Story:
    """A world whose time goes on by one evaluation with each thing that is done."""

    def __init__(self, rollout: Rollout, stage: str = "ten") -> None:
        self.world, self.now = World(rollout, flags_of(rollout, stage)), START
        self.world.evaluate({}, self.now)

    def later(self, cycles: int = 1) -> None:
        for _ in range(cycles):
            self.now += STEP
            self.world.evaluate({}, self.now)
            self.world.settle(self.now)

    def gate(self, made: timedelta = timedelta(), notes: tuple[str, ...] = (), **found: float) -> Handed:
        """A gate is handed in, whose runs began so long ago."""
        said = {"overall_go": 1.0, "checks_failed": 0.0, "stage": 10.0, "first_runs": 8.0} | found
        handed = str(len(self.world.journal)), said, self.now - made
        self.hand_in(handed, notes=notes)
        return handed

    def hand_in(self, handed: Handed, outside: Outside | None = None, notes: tuple[str, ...] = ()) -> None:
        """A file, which may have been handed in before."""
        (digest, said, made_at), declared, ladder = handed, self.world.rollout.declared("gate"), self.world.ladder
        assert declared
        reading = figures.Reading(declared.read_as, said, made_at, {"notes": list(notes)})
        file = consent.File("gate.json", digest, 9, outside or Outside())
        self.world.accept(consent.evidence(ladder, self.world.state, BY, "gate", "gated", file, reading, self.now), self.now)

    def down_and_up(self) -> None:
        """What took it back is mended: a person says go on, and promotes it again."""
        self.later(4)
        self.resume()
        self.later()
        self.promote()
        self.later()

    def promote(self) -> None:
        world = self.world
        world.accept(promotion.promote(world.ladder, world.state, world.judgement, "ann", "it is time", self.now), self.now)

    def resume(self) -> None:
        self.world.accept(requests.resume(self.world.ladder, self.world.state, "ann", "mended"), self.now)

    def refused(self) -> list[str]:
        """Why a promotion is refused, as far as evidence goes."""
        with pytest.raises(Refusal) as refusal:
            self.promote()
        return [one.sentence for one in refusal.value.reasons if one.code in {Code.EVIDENCE_MISSING, Code.EVIDENCE_NO_GO}]

    @property
    def at(self) -> str:
        return self.world.position.stage


def test_a_stage_asks_how_good_its_evidence_is(checkout: Rollout) -> None:
    story = Story(checkout)
    story.later()
    assert story.refused() == ['evidence "gate" is not on record; hand it in with `rollbackd evidence checkout gate FILE`']
    worse: list[tuple[dict[str, float], str]] = [
        ({"overall_go": 0, "checks_unknown": 1}, "overall_go 0, must be == 1"),
        ({"stage": 25}, "stage 25, must be == 10"),
        ({"stage": 25, "overall_go": 0}, "stage 25, must be == 10; overall_go 0, must be == 1"),
    ]
    for found, why in worse:
        story.gate(timedelta(), (), **found)
        story.later()
        assert [one.startswith(f'evidence "gate": {why} (by ann, ') for one in story.refused()] == [True], found
        assert (story.at, intents(story.world)) == ("ten", []), "nothing is taken back for it"
    story.gate()
    story.later()
    story.promote()
    story.later()
    assert story.at == "half"
    story.later()
    assert story.refused() == ['evidence "gate" is 45s old, before this stage began'], "within 3d is about age, and it tells of its stage only"
    story.gate(first_runs=7)
    story.later()
    assert story.refused()[0].startswith('evidence "gate": first_runs 7, must be >= 8')


def test_a_refused_promotion_says_what_the_file_could_not_tell(checkout: Rollout) -> None:
    story = Story(checkout)
    story.later()
    story.gate(timedelta(), ("role_parity cannot be told: no case was run as ai.operator", "latency_p95 cannot be told"), overall_go=0)
    story.later()
    assert story.refused()[0].endswith("): role_parity cannot be told: no case was run as ai.operator (and 1 more, see explain)")


def test_good_news_is_as_old_as_its_oldest_run_and_bad_news_as_young_as_when_it_was_handed_in(checkout: Rollout) -> None:
    story = Story(checkout)
    story.later(2)
    story.gate(made=HOUR)
    story.later()
    assert story.refused() == ['evidence "gate" is 1h15s old, before this stage began']
    story.gate(made=HOUR - SECOND, checks_failed=1, overall_go=0)
    story.later()
    assert (story.at, intents(story.world)) == ("baseline", ["rollback ten>baseline"])


def test_what_failed_before_takes_nothing_back_after_it_was_resumed(checkout: Rollout) -> None:
    story = Story(checkout)
    story.gate(checks_failed=2, overall_go=0)
    story.later()
    assert (story.at, story.world.position.phase) == ("baseline", Phase.ROLLED_BACK)
    story.later(4)
    story.resume()
    story.later()
    story.promote()
    story.later(4)
    story.world.forget()
    story.later(4)
    assert story.at == "ten"
    assert intents(story.world) == ["rollback ten>baseline", "promote baseline>ten"]
    story.gate(checks_failed=1, overall_go=0)
    story.later()
    assert intents(story.world)[2:] == ["rollback ten>baseline"]


def test_what_was_taken_once_is_never_news_again_at_a_later_stay(checkout: Rollout) -> None:
    story = Story(checkout)
    bad = story.gate(checks_failed=1, overall_go=0)
    story.later()
    assert story.at == "baseline"
    story.down_and_up()
    story.world.forget()
    with pytest.raises(OnRecord, match=r"what ann handed in at 2026-03-01 12:00:00 UTC; .* before this stage began .*; make a new one"):
        story.hand_in(bad)
    story.later()
    good = story.gate()
    story.later()
    with pytest.raises(OnRecord, match="; nothing has changed") as standing:
        story.hand_in(good)
    assert standing.value.tells
    story.promote()
    story.later(2)
    story.world.forget()
    for outside in (None, Outside(written=story.now), Outside(began=story.now, stage="half")):
        with pytest.raises(Superseded, match="and the newest counts"):
            story.hand_in(bad, outside)
        story.later()
    assert story.at == "half"


def test_what_does_not_say_when_it_was_made_is_as_old_as_its_bytes_by_whatever_rules_it_is_read(checkout: Rollout) -> None:
    story = Story(checkout)
    story.later()
    made = story.now
    undated: Handed = ("0", {"checks_failed": 1.0, "overall_go": 0.0}, None)
    story.hand_in(undated)
    story.later()
    assert story.at == "baseline"
    story.down_and_up()
    with pytest.raises(OnRecord):
        story.hand_in(undated, Outside(written=story.now))
    (declared,) = checkout.evidence
    story.world.rollout = replace(checkout, evidence=(replace(declared, read_as="otherwise"),))
    story.hand_in(undated, Outside(written=story.now))
    story.later(2)
    read = story.world.state.dossier.evidence["gate"]
    assert (story.at, read.read_as, read.made, read.of) == ("ten", "otherwise", made, made)
    assert [one.get("again", False) for one in bodies(story)] == [False, True], "its checks have been told of"


def test_what_was_on_record_by_its_digest_is_read_once_it_is_declared(checkout: Rollout) -> None:
    story = Story(checkout)
    story.world.happen(Event.EVIDENCE, story.now, evidence="gate", by="ann", why="", stage="ten", file="gate.json", sha256="0", bytes=9)
    story.later()
    story.hand_in(("0", {"checks_failed": 1.0}, START - HOUR))
    assert "again" not in bodies(story)[-1]
    story.later()
    assert story.at == "baseline"


def bodies(story: Story) -> list[Mapping[str, Any]]:
    """What is on record of its gates."""
    return [json.loads(body) for kind, body, _ in story.world.journal if kind == Event.EVIDENCE]


def test_a_number_that_was_the_same_before_is_news(tmp_path: Path) -> None:
    file, text = tmp_path / "checkout.yml", RULES.replace("kind: release_gate", "kind: number").replace("checks_failed", "value")
    file.write_text(text.replace("{stage: 10, overall_go: 1}", "{value: 0}").replace("first_runs: {at_least: 8}", "value: 0"), encoding="utf-8")
    story, nine = Story(load(file)), ("9", {"value": 9.0}, None)
    story.hand_in(nine, Outside(written=START))
    story.later()
    story.down_and_up()
    with pytest.raises(OnRecord):
        story.hand_in(nine, Outside(written=START))
    story.hand_in(("0", {"value": 0.0}, None))
    with pytest.raises(Superseded):
        story.hand_in(nine, Outside(written=START))
    story.later()
    assert story.at == "ten"
    story.hand_in(nine, Outside(written=story.now))
    story.later()
    assert story.at == "baseline"


def test_a_run_is_of_the_stage_at_which_it_began(checkout: Rollout) -> None:
    story = Story(checkout)
    story.gate()
    story.later()
    began = Outside(began=story.now, stage="ten")
    story.later()
    story.promote()
    story.later()
    story.hand_in(("run", {"checks_failed": 1.0, "first_runs": 8.0}, story.now), began)
    assert story.world.state.dossier.evidence["gate"].of == began.began
    story.later()
    assert story.at == "half", "what it found is of another stage, be it bad"
    assert story.refused() == ['evidence "gate" is 45s old, before this stage began'], "or good"
    story.hand_in(("other", {"checks_failed": 1.0}, None), Outside(began=story.now, stage="half"))
    story.later()
    assert story.at == "baseline"


def test_one_that_is_handed_in_while_flags_are_raised_counts_for_the_stage_that_they_lead_to(checkout: Rollout) -> None:
    story = Story(checkout, "baseline")
    story.later()
    story.promote()
    story.now += SECOND
    story.gate(checks_failed=1, overall_go=0)
    story.world.settle(story.now + SECOND)
    assert story.at == "ten"
    story.later()
    assert story.at == "baseline"


def test_a_rehearsal_is_no_new_stage(checkout: Rollout) -> None:
    story = Story(checkout)
    story.later()
    story.gate()
    rehearse(story, lambda: None)
    story.later()
    story.promote()
    story.later()
    assert story.at == "half"


def test_one_that_failed_in_the_middle_of_a_rehearsal_keeps_it_down(checkout: Rollout) -> None:
    story = Story(checkout)
    story.later()

    def bad_news() -> None:
        story.gate(checks_failed=1, overall_go=0)
        story.later()

    with pytest.raises(OperationRefused, match="trigger GateFailed is firing"):
        rehearse(story, bad_news)


def rehearse(story: Story, meanwhile: Callable[[], None]) -> None:
    """Down to the baseline and up again, with something in between."""
    world = story.world
    world.accept(promotion.rehearse(world.ladder, world.state, world.judgement, "ann", "practice", story.now), story.now)
    world.settle(story.now)
    story.later()
    meanwhile()
    world.accept(promotion.come_back(world.ladder, world.state, world.judgement, story.now), story.now)
    world.settle(story.now)
    world.happen(Event.REHEARSED, story.now, id="r", stage=story.at, passed=True, seconds=1.0, why="", by="ann")
    story.later()


@given(acts=st.lists(st.sampled_from(["bad", "good", "old", "later", "resume", "promote", "forget"]), max_size=14))
def test_no_result_takes_a_rollout_back_twice(checkout: Rollout, acts: list[str]) -> None:
    """In whatever order things are done: there are never more rollbacks than results that failed."""
    story, bad, files = Story(checkout), 0, list[Handed]()
    for act in acts:
        try:
            match act:
                case "bad":
                    bad += 1
                    files.append(story.gate(checks_failed=1, overall_go=0))
                case "good":
                    files.append(story.gate(stage={"ten": 10, "half": 50}.get(story.at, 0)))
                case "old" if files:
                    story.hand_in(files[len(acts) % len(files)])
                case "resume":
                    story.resume()
                case "promote":
                    story.promote()
                case "forget":
                    story.world.forget()
        except OperationRefused:
            pass
        story.later()
    assert sum(one.startswith("rollback") for one in intents(story.world)) <= bad
