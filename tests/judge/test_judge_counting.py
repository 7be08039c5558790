"""Triggers that count violations, as timetables: in a row, out of several, once a minute, and what ends a count."""

from rollback_daemon.rules.measures import Condition, Op
from tests.judge.timetable import play
from tests.judge.world import condition, counting, rollout


def test_more_than_three_violations_in_a_row_act_on_the_fourth() -> None:
    play(
        rollout(counting("Repeated", Condition(Op.ABOVE, 3), condition(above=1))),
        """
        0s..30s | errors 2 | Repeated inactive
        45s     | errors 1 | Repeated inactive
        60s..90s| errors 2 | Repeated inactive
        105s    |          | Repeated firing, rollback to baseline
        120s    | errors 1 | Repeated inactive
        """,
    )


def test_three_out_of_five_need_not_be_in_a_row() -> None:
    play(
        rollout(counting("Repeated", Condition(Op.AT_LEAST, 3), condition(above=1), out_of=5)),
        """
        0s  | errors 2       |
        15s | errors 0       |
        30s | errors 2       |
        45s | errors nothing | Repeated inactive, Repeated no_data
        60s | errors 0       |
        75s | errors 2       | Repeated firing, rollback to baseline
        """,
    )


def test_once_a_minute_counts_once_a_minute() -> None:
    play(
        rollout(counting("Repeated", Condition(Op.AT_LEAST, 3), condition(above=1), every="1m")),
        """
        0s..105s | errors 2 | Repeated inactive
        2m       |          | Repeated firing, rollback to baseline
        """,
    )


def test_an_unknown_evaluation_neither_counts_nor_ends_the_run_but_a_gap_does() -> None:
    play(
        rollout(counting("Repeated", Condition(Op.AT_LEAST, 3), condition(above=1))),
        """
        0s..15s  | errors 2       |
        30s..45s | errors nothing | Repeated inactive
        1m       | errors 2       | Repeated firing, rollback to baseline
        """,
    )
    play(
        rollout(counting("Repeated", Condition(Op.AT_LEAST, 3), condition(above=1))),
        """
        0s..15s  | errors 2       |
        30s..60s | errors nothing |
        75s..90s | errors 2       | Repeated inactive
        105s     |                | Repeated firing, rollback to baseline
        """,
    )


def test_after_a_resume_violations_are_counted_from_there() -> None:
    play(
        rollout(counting("Repeated", Condition(Op.AT_LEAST, 3), condition(above=1))),
        """
        0s..15s   | errors 2 |
        30s       |          | rollback to half
        45s..60s  |          | Repeated firing, rolled_back at half
        61s       | resume   | soaking at half
        75s..90s  |          | Repeated inactive, ready at half
        105s      |          | Repeated firing, rollback to canary
        """,
        at="full",
    )
