"""Routes: what each stage means, which key counts, and what is told."""

from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rollback_daemon.flags.store import FlagValue
from rollback_daemon.routing.assistant import ASSISTANT_V3
from rollback_daemon.routing.buckets import bucket_of
from rollback_daemon.routing.labels import LABELS, labels_of
from rollback_daemon.routing.routes import CONTROL, EXPERIMENT, Mode, NoKey, NoSuchFlag, Route, Routing, Unroutable, UnusableKey, route, standing

ADAPTER = Routing(
    flag="ORCHESTRATOR_ADAPTER_ENABLED",
    control=False,
    experiment=True,
    salt="ringrift",
    decided_by="ORCHESTRATOR_ADAPTER_ENABLED",
    modes={"false": Mode.CONTROL, "true": Mode.SPLIT},
    percent="ORCHESTRATOR_ROLLOUT_PERCENTAGE",
)
PLAIN = Routing(flag="spice", control="off", experiment="on", salt="spice", percent="ROLLOUT_PERCENTAGE", keys=("targetingKey",))


def asked(engine: str, percent: FlagValue = 25, *, key: str | None = None, **attributes: object) -> Route:
    """One request to the assistant."""
    at = standing(ASSISTANT_V3, {"assistant_engine": engine, "ai_assistant_v3_canary_percent": percent})
    return route(ASSISTANT_V3, at, key, attributes)


def test_at_v2_all_are_answered_by_v2() -> None:
    assert asked("v2", session_name="session-2").value == "v2"


def test_in_the_shadow_v2_answers_and_v3_is_to_be_asked() -> None:
    found = asked("v3_shadow", session_name="session-2")
    assert (found.value, found.side, found.metadata["shadow"]) == ("v2", CONTROL, "v3")


def test_in_the_canary_the_bucket_decides_and_the_metadata_says_why() -> None:
    found = asked("v3_canary", 27, session_name="session-2")
    assert found == Route(
        "v3",
        EXPERIMENT,
        {
            "type": "engine_route",
            "phase": "phase8",
            "stage": "v3_canary",
            "side": "experiment",
            "percent": 27.0,
            "bucket": 26.29,
            "bucketed_by": "session_name",
        },
    )
    assert asked("v3_canary", 26, session_name="session-2").value == "v2"


def test_when_v3_is_active_all_are_answered_by_it_whatever_the_percentage() -> None:
    assert asked("v3_active", 10, session_name="session-1").value == "v3"


@pytest.mark.parametrize("engine", ["v2", "v3_shadow", "v3_active"])
def test_a_broken_percentage_matters_in_the_canary_only(engine: str) -> None:
    assert asked(engine, "many", session_name="s").value in {"v2", "v3"}
    with pytest.raises(Unroutable, match="\"ai_assistant_v3_canary_percent\": 'many' is no percentage"):
        asked("v3_canary", "many", session_name="s")


@given(session=st.text(st.characters(exclude_categories=["Cs"]), min_size=1), first=st.integers(0, 100), second=st.integers(0, 100))
def test_who_is_in_stays_in_while_the_percentage_grows(session: str, first: int, second: int) -> None:
    low, high = sorted((first, second))
    assert (asked("v3_canary", low, session_name=session).side == EXPERIMENT) <= (asked("v3_canary", high, session_name=session).side == EXPERIMENT)
    assert asked("v3_canary", low, session_name=session) == asked("v3_canary", low, session_name=session, user="bob", key="k")


@pytest.mark.parametrize(
    ("context", "name", "key"),
    [
        ({"session_name": "s", "user": "u", "key": "k"}, "session_name", "s"),
        ({"session_name": "", "user": "u", "key": "k"}, "user", "u"),
        ({"session_name": None, "user": 17}, "user", "17"),
        ({"key": "k"}, "targetingKey", "k"),
    ],
)
def test_the_first_key_that_is_there_counts(context: dict[str, Any], name: str, key: str) -> None:
    found = asked("v3_canary", **context)
    assert (found.metadata["bucketed_by"], found.metadata["bucket"]) == (name, bucket_of("assistant-v3", key) / 1000)


@pytest.mark.parametrize("key", [["s"], 1.5, True, "\ud83e"])
def test_a_key_that_is_no_text_is_refused_and_not_passed_over(key: object) -> None:
    with pytest.raises(UnusableKey, match='"session_name"'):
        asked("v3_canary", session_name=key, user="u")


def test_without_a_key_nothing_can_be_split() -> None:
    with pytest.raises(NoKey, match="one of: session_name, user, targetingKey"):
        asked("v3_canary")


@pytest.mark.parametrize(
    ("engine", "percent", "answer"), [("v2", 10, "v2"), ("v3_canary", 0, "v2"), ("v3_canary", 100, "v3"), ("v3_active", 10, "v3")]
)
def test_a_rollback_reaches_those_without_a_usable_key_too(engine: str, percent: int, answer: str) -> None:
    assert asked(engine, percent).value == asked(engine, percent, session_name=["s"]).value == answer


@pytest.mark.parametrize(
    ("values", "error", "text"),
    [
        ({}, NoSuchFlag, '"assistant_engine" is not there'),
        ({"assistant_engine": "v4"}, Unroutable, 'holds "v4", which is none of: v2, v3_shadow, v3_canary, v3_active'),
        ({"assistant_engine": "v3_canary"}, Unroutable, '"ai_assistant_v3_canary_percent" is not there: at "v3_canary"'),
    ],
)
def test_flags_that_do_not_say_how_to_route_are_refused(values: Mapping[str, FlagValue], error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=text):
        standing(ASSISTANT_V3, values)


@pytest.mark.parametrize("on", [True, "true"])
def test_a_switch_with_a_percentage_routes_as_well(on: FlagValue) -> None:
    at = standing(ADAPTER, {"ORCHESTRATOR_ADAPTER_ENABLED": on, "ORCHESTRATOR_ROLLOUT_PERCENTAGE": "100"})
    assert route(ADAPTER, at, "k", {}).value is True
    off = standing(ADAPTER, {"ORCHESTRATOR_ADAPTER_ENABLED": False, "ORCHESTRATOR_ROLLOUT_PERCENTAGE": "100"})
    assert route(ADAPTER, off, "k", {}).value is False


def test_a_percentage_alone_is_a_split() -> None:
    at = standing(PLAIN, {"ROLLOUT_PERCENTAGE": "50"})
    assert {route(PLAIN, at, str(key), {}).value for key in range(20)} == {"off", "on"}


def test_a_wrong_declaration_is_refused_with_all_that_is_wrong_with_it() -> None:
    with pytest.raises(ValueError, match=r"salt: .*; control, experiment: .*; percent: .*; keys: "):
        Routing(flag="f", control="a", experiment="a", salt="", keys=())


def test_the_labels_are_few_and_never_the_key() -> None:
    assert labels_of(asked("v3_canary", 27, session_name="session-2").metadata) == {"side": "experiment", "stage": "v3_canary"}
    assert labels_of({}) == labels_of({"side": "session-2", "stage": "session-2"}) == dict.fromkeys(LABELS, "none")
