"""The steps of one transition and their record, on a store that does as it is told."""

import json
import threading
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

from rollback_daemon.clock import SystemClock
from rollback_daemon.errors import Refused, Transient, UnknownOutcome
from rollback_daemon.flags.stores import open_store
from rollback_daemon.judge.position import Open
from rollback_daemon.judge.transitions import Event, Kind, Phase
from rollback_daemon.rules.duties import Command
from rollback_daemon.rules.model import Stage
from rollback_daemon.transitions.execute import PATIENCE, Disturbed, Execution, Orders, Overtaken, Patience
from tests.transitions.rehearsal import (
    NOON,
    Scene,
    Steps,
    Store,
    appending,
    at,
    does_it_and_fails,
    fails,
    ladder,
    lies,
    lines,
    somebody_is_quicker,
)


def a_rollback(store: Store | None = None, command: Command | None = None) -> Scene:
    return Scene.of(Kind.ROLLBACK, "half", "canary", store, command)


def a_promotion(store: Store | None = None, command: Command | None = None) -> Scene:
    return Scene.of(Kind.PROMOTE, "canary", "half", store, command)


def test_a_rollback_backs_up_writes_runs_reads_back_and_says_so(tmp_path: Path) -> None:
    scene = a_rollback(command=appending(tmp_path / "ran")).run()
    assert scene.store.flags == at("canary")
    assert scene.store.backups() == (scene.journal[0][1]["id"],)
    assert scene.events == [Event.APPLIED, Event.RAN, Event.DONE]
    assert lines(tmp_path / "ran") == ["rollback half canary"]
    assert scene.error is None
    assert (scene.position.phase, scene.position.stage) == (Phase.ROLLED_BACK, "canary")


def test_the_record_tells_before_and_after() -> None:
    scene = a_rollback().run()
    (applied,) = scene.records(Event.APPLIED)
    assert applied["before"] == {"PERCENT": "50%"}
    assert applied["after"] == {"PERCENT": "10%"}
    assert applied["backup"] == applied["id"]
    (done,) = scene.records(Event.DONE)
    assert (done["from"], done["to"], done["flags"]) == ("half", "canary", at("canary"))


def test_what_is_so_already_is_neither_written_nor_announced(tmp_path: Path) -> None:
    scene = a_rollback(Store(at("canary")), appending(tmp_path / "ran")).run()
    assert scene.store.writes == []
    assert scene.events == [Event.DONE]
    assert lines(tmp_path / "ran") == []


def test_begun_before_a_restart_its_command_is_run_once_more(tmp_path: Path) -> None:
    scene = a_rollback(Store(at("canary")), appending(tmp_path / "ran")).run(again=True)
    assert scene.store.writes == []
    assert scene.events == [Event.RAN, Event.DONE]
    assert lines(tmp_path / "ran") == ["rollback half canary"]


def test_flags_lowered_by_hand_end_a_rollback_lower() -> None:
    scene = a_rollback(Store(at("baseline"))).run()
    assert scene.store.writes == []
    assert scene.position.stage == "baseline"


def test_a_rollback_is_tried_until_it_works() -> None:
    failing = [fails(Transient), fails(Refused, "no permission"), fails(Transient), fails(Refused), fails(Transient)]
    scene = a_rollback(Store(at("half"), {"write": deque(failing)})).run()
    assert scene.store.flags == at("canary")
    assert scene.events == [*[Event.ATTEMPTED] * 5, Event.APPLIED, Event.DONE]
    assert [one["outcome"] for one in scene.records(Event.ATTEMPTED)] == ["transient", "refused", "transient", "refused", "transient"]
    assert scene.records(Event.ATTEMPTED)[1]["error"] == "no permission"


def test_tries_are_further_and_further_apart_up_to_the_longest_pause() -> None:
    scene = a_rollback(Store(at("half"), {"read": deque([fails(Transient)] * 5)})).run(Patience(first=0.001, longest=0.005))
    pauses = [(fact["attempt"], fact["next"]) for fact in scene.records(Event.ATTEMPTED)]
    assert pauses == [(number + 1, (NOON + timedelta(milliseconds=pause)).isoformat()) for number, pause in enumerate((1, 2, 4, 5, 5))]


def test_a_rollback_that_failed_once_is_failed_until_it_is_done() -> None:
    seen: list[Phase] = []
    scene = a_rollback(Store(at("half"), {"write": deque([fails(Transient), fails(Transient)])}))
    scene.when = lambda _: seen.append(scene.position.phase)
    scene.run()
    assert seen == [Phase.ROLLING_BACK, Phase.FAILED, Phase.FAILED, Phase.FAILED]
    assert scene.position.phase is Phase.ROLLED_BACK


def test_a_promotion_gives_up_after_its_tries_and_says_why() -> None:
    scene = a_promotion(Store(at("canary"), {"write": deque([fails(Transient, "busy")] * 9)})).run()
    assert isinstance(scene.error, Transient)
    assert str(scene.error) == "busy"
    assert scene.events == [Event.ATTEMPTED, Event.ATTEMPTED]
    assert scene.position.phase is Phase.PROMOTING, "whoever ran it takes it back"
    assert scene.store.flags == at("canary")


def test_a_promotion_may_fail_less_often_than_it_is_tried() -> None:
    scene = a_promotion(Store(at("canary"), {"write": deque([fails(Transient)] * 2)})).run()
    assert scene.error is None
    assert scene.position.stage == "half"


def test_an_unknown_outcome_is_read_back_and_not_written_twice() -> None:
    scene = a_rollback(Store(at("half"), {"write": deque([does_it_and_fails(UnknownOutcome)])})).run()
    assert scene.store.writes == [{"PERCENT": "10%"}]
    assert [one["outcome"] for one in scene.records(Event.ATTEMPTED)] == ["unknown"]
    assert scene.position.stage == "canary"


def test_an_unknown_outcome_runs_the_command_all_the_same(tmp_path: Path) -> None:
    scene = a_rollback(Store(at("half"), {"write": deque([does_it_and_fails(UnknownOutcome)])}), appending(tmp_path / "ran")).run()
    assert lines(tmp_path / "ran") == ["rollback half canary"]
    assert scene.events == [Event.ATTEMPTED, Event.RAN, Event.DONE]


def test_an_unknown_outcome_that_did_nothing_is_written_again() -> None:
    scene = a_promotion(Store(at("canary"), {"write": deque([fails(UnknownOutcome)])})).run()
    assert scene.store.writes == [{"PERCENT": "50%"}]
    assert scene.position.stage == "half"


def test_another_writer_in_between_costs_one_try() -> None:
    scene = a_rollback(Store(at("half"), {"write": deque([somebody_is_quicker])})).run()
    assert scene.store.flags == {**at("canary"), "OTHER": "new"}
    assert scene.events == [Event.ATTEMPTED, Event.APPLIED, Event.DONE]


def test_a_store_that_lies_is_found_out_and_written_again() -> None:
    scene = a_rollback(Store(at("half"), {"write": deque([lies])})).run()
    assert scene.store.flags == at("canary")
    assert scene.records(Event.ATTEMPTED)[0]["error"] == "memory does not hold what was written to it: PERCENT"


def test_a_store_that_raises_what_it_should_not_does_not_end_a_rollback() -> None:
    def defect(*_: object) -> None:
        raise ValueError("with the secret s3cr=t in it")

    scene = a_rollback(Store(at("half"), {"read": deque([defect])})).run()
    assert scene.position.stage == "canary"
    (failed,) = scene.records(Event.ATTEMPTED)
    assert failed["error"].startswith("ValueError at ")
    assert "s3cr=t" not in str(scene.journal)


def test_a_rollback_goes_on_without_its_backup() -> None:
    scene = a_rollback(Store(at("half"), {"backup": deque([fails(Refused, "disk full")])})).run()
    assert scene.records(Event.APPLIED)[0]["backup"] == "none: disk full"
    assert scene.position.stage == "canary"


def test_a_promotion_does_not_go_on_without_its_backup() -> None:
    scene = a_promotion(Store(at("canary"), {"backup": deque([fails(Refused, "disk full")] * 9)})).run()
    assert str(scene.error) == "disk full"
    assert scene.store.writes == []


def test_no_backup_is_made_where_none_is_kept() -> None:
    scene = a_rollback()
    scene.rollout = ladder(backups=0)
    scene.run()
    assert scene.store.backups() == ()
    assert scene.records(Event.APPLIED)[0]["backup"] == ""


def test_a_command_that_fails_is_run_again_without_a_second_write(tmp_path: Path) -> None:
    ran = tmp_path / "ran"
    twice = Command(("/bin/sh", "-c", f"echo x >> {ran}; test $(wc -l < {ran}) -ge 3"), timedelta(seconds=10))
    scene = a_rollback(command=twice).run()
    assert scene.store.writes == [{"PERCENT": "10%"}]
    assert [one["error"] for one in scene.records(Event.RAN)] == ['"/bin/sh" exited with 1'] * 2 + [""]
    assert scene.records(Event.ATTEMPTED)[0]["error"] == 'after_change: "/bin/sh" exited with 1'
    assert scene.position.stage == "canary"


def test_a_command_that_always_fails_ends_a_promotion(tmp_path: Path) -> None:
    scene = a_promotion(command=appending(tmp_path / "ran", code=3)).run()
    assert str(scene.error) == 'after_change: "/bin/sh" exited with 3'
    assert len(lines(tmp_path / "ran")) == 3
    assert len(scene.store.writes) == 1


def test_a_person_who_lowers_the_flags_of_a_promotion_is_not_overruled() -> None:
    scene = a_promotion(Store(at("baseline"))).run()
    assert isinstance(scene.error, Disturbed)
    assert str(scene.error) == "memory: its flags are neither those before it nor those after it (NEW, PERCENT)"
    assert scene.store.flags == at("baseline")
    assert scene.events == [], "it is not tried again"


def test_a_person_who_takes_a_written_promotion_back_is_not_overruled(tmp_path: Path) -> None:
    scene = a_promotion(command=appending(tmp_path / "ran", code=1))
    scene.when = lambda event: scene.store.by_hand("canary") if event is Event.ATTEMPTED else None
    scene.run()
    assert isinstance(scene.error, Disturbed)
    assert scene.store.flags == at("canary")
    assert scene.store.writes == [{"PERCENT": "50%"}]


def test_a_person_who_takes_a_promotion_back_while_the_daemon_is_away_is_not_overruled() -> None:
    scene = a_promotion()
    scene.journal.append((Event.APPLIED, {"id": scene.opened.id, "kind": "promote", "from": "canary"}))
    scene.run(again=True)
    assert isinstance(scene.error, Disturbed)
    assert str(scene.error) == "memory: its flags are no longer those that it set (PERCENT)"
    assert scene.store.writes == []


def test_a_rollback_lowers_what_somebody_raises_meanwhile(tmp_path: Path) -> None:
    ran = tmp_path / "ran"
    command = Command(("/bin/sh", "-c", f"echo x >> {ran}; test $(wc -l < {ran}) -ge 2"), timedelta(seconds=10))
    scene = a_rollback(command=command)
    scene.when = lambda event: scene.store.by_hand("full") if event is Event.ATTEMPTED else None
    scene.run()
    assert scene.store.flags == at("canary")


def test_flags_that_the_rule_file_no_longer_names_are_still_read_back() -> None:
    scene = a_rollback(Store({**at("half"), "GONE": "on"}))
    scene.journal[0][1]["flags"] = {**at("canary"), "GONE": "off"}
    scene.run()
    assert scene.store.flags == {**at("canary"), "GONE": "off"}
    assert scene.events == [Event.APPLIED, Event.DONE]


def test_an_overtaken_one_ends_without_a_word() -> None:
    scene = a_promotion()

    def overtaken(_: Event) -> None:
        raise Overtaken("a more urgent one is on record")

    scene.when = overtaken
    scene.run()
    assert scene.error is None
    assert scene.events == []


def test_an_overtaken_one_does_not_write() -> None:
    scene = a_promotion()
    scene.orders.overtake()
    scene.run()
    assert scene.error is None
    assert scene.store.writes == []
    assert scene.events == []


def test_an_overtaken_one_ends_its_command(tmp_path: Path) -> None:
    scene = a_promotion(command=Command(("/bin/sh", "-c", f"touch {tmp_path / 'begun'}; sleep 60"), timedelta(seconds=60)))
    scene.when = lambda event: overtaker.start() if event is Event.APPLIED else None
    overtaker = threading.Thread(target=_when_there, args=(tmp_path / "begun", scene.orders))
    scene.run()
    overtaker.join()
    assert scene.error is None
    assert scene.records(Event.RAN)[0]["error"] == '"/bin/sh" had to give way to something more urgent and was killed'


def test_told_to_drain_it_finishes_the_try_that_it_is_in_and_begins_no_other() -> None:
    scene = a_rollback(Store(at("half"), {"write": deque([fails(Transient)])}))
    scene.orders.drain.set()
    scene.run()
    assert scene.error is None
    assert scene.events == []
    assert scene.position.phase is Phase.ROLLING_BACK, "the next start goes on"


def test_told_to_drain_while_it_waits_it_waits_no_longer() -> None:
    scene = a_rollback(Store(at("half"), {"write": deque([fails(Transient)] * 2)}))
    scene.when = lambda event: scene.orders.drain.set() if event is Event.ATTEMPTED else None
    scene.run(Patience(first=600, longest=600))
    assert scene.events == [Event.ATTEMPTED]


def test_killed_at_any_step_is_told_apart_from_an_error() -> None:
    scene = a_rollback(Store(at("half"), steps=Steps()))
    assert scene.run_killed_at(0)
    assert scene.position.stage == "canary"


def _when_there(path: Path, orders: Orders) -> None:
    pause = threading.Event()
    while not path.exists():
        pause.wait(0.005)
    orders.overtake()


def test_where_another_writer_of_the_file_was_quicker_it_is_tried_again_at_once_and_without_a_word(tmp_path: Path) -> None:
    """Several rollouts may share a file; that they meet there is no failure of anything."""
    path = tmp_path / "flags.json"
    path.write_text(json.dumps({f"f{number}": True for number in range(8)}))

    def take_back(number: int) -> list[str]:
        told: list[str] = []
        stages = (Stage("baseline", 0, 0.0, {f"f{number}": False}), Stage("canary", 1, 0.1, {f"f{number}": True}))
        one = replace(ladder(backups=0), stages=stages, gates=(), triggers=(), signals=())
        flags = {f"f{number}": False}
        opened = Open("x", Kind.ROLLBACK, "canary", "baseline", flags, NOON, None, ("because",), "rollbackd")
        store = open_store("json", path, 0)
        Execution(one, store, opened, lambda event, _: told.append(event.value), SystemClock(), PATIENCE).run(Orders())
        return told

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(take_back, range(8))) == [["applied", "done"]] * 8
    assert json.loads(path.read_text()) == {f"f{number}": False for number in range(8)}
