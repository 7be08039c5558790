"""The provider, asked through OpenFeature's own SDK: values, reasons, error codes, events."""

import asyncio
import json
import os
import queue
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from openfeature import api
from openfeature.client import OpenFeatureClient
from openfeature.evaluation_context import EvaluationContext
from openfeature.event import EventDetails, ProviderEvent
from openfeature.exception import ErrorCode, ProviderNotReadyError
from openfeature.flag_evaluation import FlagEvaluationDetails, Reason
from openfeature.provider import AbstractProvider, ProviderStatus

from rollback_daemon.flags.stores import open_store
from rollback_daemon.routing.assistant import ASSISTANT_V3
from rollback_daemon.routing.labels import labels_of
from rollback_daemon.routing.provider import FlagFileProvider

CANARY = {"assistant_engine": "v3_canary", "ai_assistant_v3_canary_percent": 25}
PLAIN = {"dark": True, "name": "ana", "limit": 3, "ratio": 0.5, "agents": ["a", "b"], "nothing": None, "deep": {"er": 1}}
DOTENV = "dark=Yes\nname=ana\nlimit=3\nratio=0.5\nnothing\nassistant_engine=v3_canary\nai_assistant_v3_canary_percent=25\n"
YAML = "dark: true\nname: ana\nlimit: 3\nratio: 0.5\nagents: [a, b]\nnothing:\ndeep: {er: 1}\n"
HEAVY = "pydantic requests sqlalchemy fastapi structlog apscheduler prometheus_client prometheus_api_client promql_parser rich typer grpc"
SESSION = EvaluationContext(attributes={"session_name": "session-2"})  # in bucket 26.29


@pytest.fixture(autouse=True)
def _own_providers() -> Iterator[None]:
    yield
    api.clear_providers()


def client_of(provider: FlagFileProvider) -> OpenFeatureClient:
    """A client whose provider is ready."""
    api.set_provider_and_wait(provider, "test")
    return api.get_client("test")


def flags(folder: Path, **values: object) -> Path:
    """A JSON file with these flags, set in place of one that may be there."""
    (folder / "new").write_text(json.dumps(values))
    return (folder / "new").replace(folder / "flags.json")


def assistant(folder: Path, **values: object) -> OpenFeatureClient:
    """A client of the assistant, on such a file; it is looked at each time."""
    return client_of(FlagFileProvider(flags(folder, **values), "json", [ASSISTANT_V3], check_every=0, settle=0))


def asked(client: OpenFeatureClient, context: EvaluationContext | None = SESSION) -> FlagEvaluationDetails[str]:
    return client.get_string_details("assistant_engine", "default", context)


def test_it_is_a_provider_as_the_sdk_defines_one(tmp_path: Path) -> None:
    provider = FlagFileProvider(tmp_path / "flags.json", "json")
    assert isinstance(provider, AbstractProvider)
    assert (provider.get_metadata().name, provider.get_provider_hooks()) == ("rollbackd flag file", [])


@pytest.mark.parametrize(("store", "text"), [("json", json.dumps(PLAIN)), ("yaml", YAML), ("dotenv", DOTENV)])
def test_plain_flags_come_in_the_types_that_are_asked_for(tmp_path: Path, store: str, text: str) -> None:
    (tmp_path / "flags").write_text(text)
    client = client_of(FlagFileProvider(tmp_path / "flags", store))
    found = client.get_boolean_details("dark", default_value=False)
    assert (found.value, found.reason, found.error_code) == (True, Reason.STATIC, None)
    assert client.get_string_value("name", "") == "ana"
    assert client.get_integer_value("limit", 0) == 3
    assert client.get_float_value("ratio", 0.0) == 0.5
    assert client.get_float_value("limit", 0.0) == 3.0
    assert client.get_string_details("nothing", "default").reason == Reason.DEFAULT
    if store != "dotenv":
        assert client.get_object_value("agents", []) == ["a", "b"]
        assert client.get_integer_value("/deep/er", 0) == 1
        assert client.get_boolean_details("limit", default_value=True).error_code == ErrorCode.TYPE_MISMATCH
        assert client.get_integer_details("dark", 7).error_code == ErrorCode.TYPE_MISMATCH  # true is not 1
    mismatch = client.get_integer_details("name", 7)
    assert (mismatch.value, mismatch.reason, mismatch.error_code) == (7, Reason.ERROR, ErrorCode.TYPE_MISMATCH)
    assert "is not a whole number" in (mismatch.error_message or "")
    assert "ana" not in (mismatch.error_message or "")


def test_a_routed_answer_carries_the_route_and_labels_for_both_sides(tmp_path: Path) -> None:
    found = asked(assistant(tmp_path, **CANARY))
    version = open_store("json", tmp_path / "flags.json").read(frozenset()).version
    assert (found.value, found.variant, found.reason, found.error_code) == ("v2", "control", Reason.SPLIT, None)
    assert found.flag_metadata == {
        "type": "engine_route",
        "phase": "phase8",
        "stage": "v3_canary",
        "side": "control",
        "percent": 25.0,
        "bucket": 26.29,
        "bucketed_by": "session_name",
        "flags_version": version[:12],
    }
    assert labels_of(found.flag_metadata) == {"side": "control", "stage": "v3_canary"}


def test_the_answer_follows_the_daemon_up_and_all_the_way_back(tmp_path: Path) -> None:
    client = assistant(tmp_path, assistant_engine="v2", ai_assistant_v3_canary_percent=10)
    store = open_store("json", tmp_path / "flags.json")
    answers = [asked(client).value]
    for key, value in (
        ("assistant_engine", "v3_canary"),
        ("ai_assistant_v3_canary_percent", 50),
        ("assistant_engine", "v3_active"),
        ("assistant_engine", "v2"),
    ):
        store.write({key: value}, if_version=store.read(frozenset()).version)
        answers.append(asked(client).value)
    assert answers == ["v2", "v2", "v3", "v3", "v2"]


@pytest.mark.parametrize(
    ("values", "context", "code", "text"),
    [
        ({}, SESSION, ErrorCode.FLAG_NOT_FOUND, '"assistant_engine" is not there'),
        ({"assistant_engine": "v9"}, SESSION, ErrorCode.PARSE_ERROR, "none of: v2, v3_shadow"),
        ({"assistant_engine": {"a": 1}}, SESSION, ErrorCode.PARSE_ERROR, "name a value inside it"),
        (CANARY, None, ErrorCode.TARGETING_KEY_MISSING, "one of: session_name, user, targetingKey"),
        (CANARY, EvaluationContext(attributes={"session_name": ["s"]}), ErrorCode.INVALID_CONTEXT, "neither text nor a whole number"),
    ],
)
def test_what_cannot_be_routed_is_the_callers_default_with_the_code_for_it(
    tmp_path: Path, values: dict[str, Any], context: EvaluationContext | None, code: ErrorCode, text: str
) -> None:
    found = asked(assistant(tmp_path, **values), context)
    assert (found.value, found.reason, found.error_code, found.variant) == ("default", Reason.ERROR, code, None)
    assert text in (found.error_message or "")
    assert labels_of(found.flag_metadata) == {"side": "none", "stage": "none"}
    assert found.flag_metadata["type"] == "engine_route"


def test_other_flags_that_cannot_be_had_have_their_codes(tmp_path: Path) -> None:
    client = assistant(tmp_path, **CANARY, deep={"er": 1})
    assert client.get_string_details("unknown", "x").error_code == ErrorCode.FLAG_NOT_FOUND
    assert client.get_string_details("deep", "x").error_code == ErrorCode.PARSE_ERROR
    assert client.get_integer_details("assistant_engine", 1, SESSION).error_code == ErrorCode.TYPE_MISMATCH


def test_without_a_file_the_default_counts_until_it_comes(tmp_path: Path) -> None:
    provider = FlagFileProvider(tmp_path / "flags.json", "json", [ASSISTANT_V3], check_every=0, settle=0)
    with pytest.raises(ProviderNotReadyError) as refused:
        api.set_provider_and_wait(provider, "test")
    assert "create it, or correct the path" in (refused.value.error_message or "")
    client = api.get_client("test")
    found = asked(client)
    assert (found.value, found.error_code) == ("default", ErrorCode.PROVIDER_NOT_READY)
    flags(tmp_path, assistant_engine="v2")
    assert asked(client).value == "v2"
    assert client.get_provider_status() == ProviderStatus.READY


def test_a_broken_file_leaves_the_last_answer_and_says_that_it_is_stale(tmp_path: Path) -> None:
    client = assistant(tmp_path, assistant_engine="v3_active")
    (tmp_path / "flags.json").write_text("{")
    found = asked(client)
    assert (found.value, found.reason, found.error_code) == ("v3", Reason.STALE, None)
    assert found.flag_metadata["stale"] is True
    assert "flags.json:1: this is not valid JSON" in str(found.flag_metadata["stale_because"])
    assert client.get_provider_status() == ProviderStatus.STALE
    flags(tmp_path, assistant_engine="v2")
    assert (asked(client).value, asked(client).reason) == ("v2", Reason.STATIC)
    assert client.get_provider_status() == ProviderStatus.READY


def test_handlers_hear_which_routes_have_changed_and_when_sight_is_lost(tmp_path: Path) -> None:
    client = assistant(tmp_path, **CANARY, other=1)
    heard: queue.Queue[EventDetails] = queue.Queue()
    for event in (ProviderEvent.PROVIDER_CONFIGURATION_CHANGED, ProviderEvent.PROVIDER_STALE):
        client.add_handler(event, heard.put)
    flags(tmp_path, assistant_engine="v2", other=1)
    asked(client)
    assert heard.get(timeout=30).flags_changed == ["assistant_engine"]
    flags(tmp_path, assistant_engine="v2", other=2)
    asked(client)
    assert heard.get(timeout=30).flags_changed == []
    (tmp_path / "flags.json").unlink()
    asked(client)
    assert "no such file" in (heard.get(timeout=30).message or "")


def test_the_asynchronous_half_answers_the_same(tmp_path: Path) -> None:
    client = assistant(tmp_path, **CANARY)
    assert asyncio.run(client.get_string_details_async("assistant_engine", "default", SESSION)) == asked(client)


def test_two_routings_of_one_flag_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="two routings answer one flag"):
        FlagFileProvider(tmp_path / "flags.json", "json", [ASSISTANT_V3, ASSISTANT_V3])


def test_an_application_does_not_pay_for_the_daemon() -> None:
    code = f"import sys, rollback_daemon.routing.provider; print([name for name in {HEAVY.split()} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], env=dict(os.environ), capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
