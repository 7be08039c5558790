"""When and in which phases a trigger may act, as timetables: stages, initial delays, promotions and rollbacks under way."""

from tests.judge.timetable import play
from tests.judge.world import intents, rollout, trigger


def test_a_trigger_acts_only_at_the_stages_it_is_armed_at() -> None:
    guarded = rollout(trigger("Errors", above=1, stages=("half",)))
    play(guarded, "0s..5m | errors 2 | Errors firing, soaking at canary")
    play(guarded, "0s | errors 2 | Errors firing, rollback to canary", at="half")


def test_an_initial_delay_counts_from_the_beginning_of_the_stage() -> None:
    play(
        rollout(trigger("Errors", above=1, delay="1m", for_="30s")),
        """
        0s..15s  | errors 2 | Errors pending
        30s..75s |          | Errors firing, soaking at full
        90s      |          | rollback to half
        """,
        at="full",
    )


def test_a_resume_does_not_make_an_initial_delay_run_again() -> None:
    play(
        rollout(trigger("Errors", above=1, delay="10m")),
        """
        0s..10m | errors 0 |
        610s    | hold     |
        620s    | resume   |
        630s    | errors 2 | rollback to baseline
        """,
    )


def test_a_promotion_is_not_blamed_for_what_fired_before_it_until_its_own_window_has_passed() -> None:
    play(
        rollout(trigger("Errors", above=1, for_="1m", delay="15s", stages=("half",))),
        """
        0s     | errors 2 | Errors pending, ready at canary, free
        1m..5m |          | Errors firing, ready at canary, free
        301s   | promote  | soaking at half
        315s   |          | soaking at half
        375s   |          | soaking at half
        390s   |          | rollback to canary
        """,
    )


def test_a_breach_is_judged_while_it_soaks_is_ready_held_or_complete() -> None:
    guarded = rollout(trigger("Errors", above=1), soak="1m")
    play(guarded, "0s | errors 0 | soaking at half\n15s | errors 2 | rollback to canary", at="half")
    play(guarded, "0s | errors 0 |\n1m | | ready at half\n75s | errors 2 | rollback to canary", at="half")
    play(guarded, "0s | errors 0 |\n1m | | complete at full\n75s | errors 2 | rollback to half", at="full")
    play(guarded, "0s | errors 0 |\n1s | hold | held at half\n15s | errors 2 | rollback to canary, rolled_back at canary", at="half")


def test_a_promotion_under_way_is_overtaken_by_a_breach_and_taken_back_to_where_it_came_from() -> None:
    world = play(
        rollout(trigger("Errors", above=1)),
        """
        0s  | errors 0 | ready at canary
        1s  | promote  | promoting at canary
        2s  | write    |
        15s | errors 2 | rollback to canary, rolling_back at canary
        16s | finish   | rolled_back at canary
        """,
        slow=True,
    )
    assert intents(world) == ["promote canary>half", "rollback canary>canary"]
    assert world.flags == {"NEW": "true", "PERCENT": "10%"}


def test_a_breach_at_the_stage_it_is_being_promoted_to_counts_from_the_promotion_s_beginning() -> None:
    play(
        rollout(trigger("Errors", above=1, for_="1m", stages=("half",))),
        """
        0s        | errors 0 | ready at canary
        1s        | promote  |
        15s..45s  | errors 2 | Errors pending, promoting at canary
        46s       | finish   | soaking at half
        60s       |          | Errors pending
        75s       |          | Errors firing, rollback to canary
        """,
        slow=True,
    )


def test_a_trigger_of_the_stage_it_is_being_promoted_to_is_armed_unless_it_has_an_initial_delay() -> None:
    def promoted_into(delay: str, stage: str, expected: str) -> None:
        play(
            rollout(trigger("Errors", above=1, delay=delay, stages=(stage,))),
            f"0s | errors 0 | ready at canary\n1s | promote |\n15s | errors 2 | Errors firing, {expected}",
            slow=True,
        )

    promoted_into("0", "half", "rollback to canary")
    promoted_into("15s", "half", "promoting at canary")
    promoted_into("0", "full", "promoting at canary")


def test_a_rollback_under_way_is_overtaken_only_by_one_that_goes_lower() -> None:
    world = play(
        rollout(
            trigger("Errors", above=1),
            trigger("Slow", "latency", above=1, action="rollback to half"),
            trigger("Dead", "up", below=1, action="rollback to baseline"),
        ),
        """
        0s   | errors 2, latency 0, up 1 | rollback to half, rolling_back at full
        15s  | latency 2                 | rolling_back at full
        16s  | fail                      | failed at full
        30s  | up 0                      | rollback to baseline, rolling_back at full
        45s  |                           | rolling_back at full
        46s  | finish                    | rolled_back at baseline
        """,
        at="full",
        slow=True,
    )
    assert intents(world) == ["rollback full>half", "rollback full>baseline"]


def test_while_a_rollback_fails_nothing_else_happens_and_the_failure_is_known() -> None:
    world = play(
        rollout(trigger("Errors", above=1)),
        """
        0s       | errors 2 | rollback to baseline
        1s       | fail     | failed at canary
        15s..10m |          | Errors firing, failed at canary, blocked by in_transition+trigger_firing
        601s     | fail     | failed at canary
        """,
        slow=True,
    )
    assert world.position.open
    assert world.position.open.failure == "disk full"
    assert world.position.open.next_try is not None
