"""Every route of the API on a real daemon: what is read, what is changed, and how it says no."""

import os
import pwd
import re
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from rollback_daemon import __version__
from rollback_daemon.lab.servers import PrometheusServer, wait_until
from tests.faces.http.bench import NOBODY_LISTENS, RULES, Bench

ME = pwd.getpwuid(os.getuid()).pw_name
BROKEN = RULES.replace("above: 1%", "abov: 1%").replace("owner:", "owners:")


def is_refusal(said: Any) -> bool:
    """The one shape of every answer that is not a success."""
    return (
        set(said) == {"error", "reasons", "unknown"}
        and bool(said["error"])
        and all(set(one) == {"code", "unknown", "sentence"} for one in said["reasons"])
    )


def test_the_first_page_names_the_others(reading: Bench) -> None:
    text = reading.get("/").text
    assert f"rollbackd {__version__}" in text
    paths = set(re.findall(r'(?:href|src)="(/[^"]*)"', text)) - {"/login?next=%2F"}
    assert {"/", "/api/v1/openapi.json", "/metrics", "/rollouts/checkout"} <= paths
    for path in paths:
        assert reading.get(path).status_code == 200, path


def test_the_health_pages_are_for_probes(reading: Bench) -> None:
    assert (reading.get("/-/healthy").status_code, reading.get("/-/healthy").text) == (200, "rollbackd is healthy.\n")
    assert (reading.get("/-/ready").status_code, reading.get("/-/ready").text) == (200, "rollbackd is ready.\n")


def test_every_rollout_stands_in_a_line(reading: Bench) -> None:
    [one] = reading.get("/api/v1/rollouts").json()
    facts = {"rollout": "checkout", "owner": "deployment-lead", "mode": "enforce", "phase": "baseline", "stage": "baseline", "exposure": 0.0}
    assert facts.items() <= one.items()
    assert one["next"] == "may be promoted to canary by a person"
    assert one.keys() == reading.rollout().keys()


def test_an_explanation_has_every_value_beside_its_limit(reading: Bench) -> None:
    told = reading.get("/api/v1/rollouts/checkout/explain").json()
    first, second = told["triggers"]
    assert (first["alert"], first["expr"], first["limit"], first["for"], first["phase"]) == (
        "ErrorRateHigh",
        "errors or vector(0)",
        "> 0.01",
        "0s",
        "inactive",
    )
    assert first["series"][0]["sentence"] == "error_rate 0"
    assert first["change"] == "takes no action at this stage; breached once error_rate > 0.01"
    assert second["phase"] == "pending"
    assert second["series"][0]["fires_in"].startswith("4m")
    assert [gate["sentence"] for gate in told["gates"]]
    assert [stage["stage"] for stage in told["stages"]] == ["baseline", "canary", "half"]
    assert told["flags"]["differing"] == {}


def test_history_begins_with_how_the_rollout_was_found(reading: Bench) -> None:
    rules, first = reading.history()[:2]
    assert rules["event"] == "configured"
    assert rules["rules"][0].startswith("ErrorRateHigh: error_rate > 0.01")
    assert (first["event"], first["stage"]) == ("adopted", "baseline")
    assert [one["seq"] for one in reading.history()] == sorted(one["seq"] for one in reading.history())


def test_history_can_be_read_on_from_a_record(reading: Bench) -> None:
    everything = reading.history()
    assert reading.get("/api/v1/rollouts/checkout/history?limit=1").json() == everything[-1:]
    assert reading.get(f"/api/v1/rollouts/checkout/history?after={everything[0]['seq']}").json() == everything[1:]


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "words"),
    [
        ("GET", "/api/v1/rollouts/nothing", None, 404, 'there is no rollout "nothing"; known: checkout'),
        ("GET", "/api/v1/rollouts/nothing/explain", None, 404, 'there is no rollout "nothing"; known: checkout'),
        ("GET", "/api/v1/rollouts/nothing/history", None, 404, 'there is no rollout "nothing"; known: checkout'),
        ("POST", "/api/v1/rollouts/nothing/hold", {"reason": "x"}, 404, 'there is no rollout "nothing"; known: checkout'),
        ("GET", "/api/v1/rollouts/checkout/history?limit=0", None, 422, "limit: must be at least 1"),
        ("GET", "/api/v1/rollouts/checkout/history?limit=many", None, 422, "limit: Input should be a valid integer"),
        ("GET", "/api/v1/rollouts/checkout/history?after=-1", None, 422, "after: must be at least 0"),
        ("GET", "/api/v2/rollouts", None, 404, "GET /api/v2/rollouts: not found"),
        ("DELETE", "/api/v1/rollouts", None, 405, "DELETE /api/v1/rollouts: method not allowed"),
        ("POST", "/api/v1/rollouts/checkout/hold", {}, 422, "reason: is missing; it must be given"),
        ("POST", "/api/v1/rollouts/checkout/hold", {"reason": "  "}, 422, "reason: must not be empty"),
        ("POST", "/api/v1/rollouts/checkout/hold", {"reason": "x" * 3000}, 422, "reason: String should have at most 2000 characters"),
        ("POST", "/api/v1/rollouts/checkout/hold", {"reason": "x", "because": "y"}, 422, "because: is not known here; leave it out"),
        ("POST", "/api/v1/rollouts/checkout/rollback", {"reason": "x", "too": "half"}, 422, "too: is not known here; leave it out"),
        ("POST", "/api/v1/rollouts/checkout/hold", ["x"], 422, "body: must be a mapping of keys to values"),
        ("POST", "/api/v1/rollouts/checkout/hold", None, 422, "body: is missing; it must be given"),
        ("POST", "/api/v1/rollouts/checkout/rollback", {"reason": "x", "to": "nowhere"}, 409, "nowhere"),
        ("POST", "/api/v1/rollouts/checkout/rollback", {"reason": "x"}, 409, "baseline"),
        ("POST", "/api/v1/rollouts/checkout/resume", {"reason": "x"}, 409, "checkout"),
    ],
)
def test_a_no_is_json_with_a_sentence(reading: Bench, method: str, path: str, body: Any, status: int, words: str) -> None:
    answer = reading.session.request(method, reading.daemon.url + path, json=body, timeout=20)
    assert answer.status_code == status
    assert is_refusal(answer.json()), answer.text
    assert words in answer.json()["error"]
    assert reading.rollout()["phase"] == "baseline"


def test_a_rollout_is_promoted_and_taken_back_by_hand(bench: Bench) -> None:
    bench.wait_for(next="may be promoted to canary by a person")
    promoted = bench.ask_for("promote", reason="day one")
    assert promoted.status_code == 202
    bench.wait_for(stage="canary", phase="ready")
    assert bench.flags.read_text() == "# flags of the shop\nNEW_CHECKOUT=true\nSHARE=10\nOTHER=stays\n"
    back = bench.ask_for("rollback", reason="not today", to="baseline")
    assert back.status_code == 202
    bench.wait_for(stage="baseline", phase="rolled_back")
    assert bench.flags.read_text() == "# flags of the shop\nNEW_CHECKOUT=false\nSHARE=0\nOTHER=stays\n"
    done = [one for one in bench.history() if one["event"] == "done"]
    assert [one["id"] for one in done] == [promoted.json()["transition"], back.json()["transition"]]


def test_a_hold_stops_the_way_up_until_somebody_resumes(bench: Bench) -> None:
    held = bench.ask_for("hold", reason="freeze")
    assert (held.status_code, held.json()["phase"]) == (200, "held")
    refused = bench.ask_for("promote", reason="now")
    assert refused.status_code == 409
    assert is_refusal(refused.json())
    assert "held" in {one["code"] for one in refused.json()["reasons"]}
    assert refused.json()["unknown"] is False
    resumed = bench.ask_for("resume", reason="over")
    assert resumed.status_code == 200
    bench.to_canary()


def test_who_asked_is_who_the_kernel_says(bench: Bench) -> None:
    bench.ask_for("hold", reason="freeze")
    last = bench.history()[-1]
    assert (last["event"], last["by"], last["why"]) == ("held", ME, f"{ME}: freeze")


def test_a_promotion_is_refused_with_every_reason(bench: Bench) -> None:
    bench.set_error_rate(0.005)
    wait_until(lambda: "0.005" in bench.rollout()["next"], "the gate to be violated", 30)
    said = bench.ask_for("promote", reason="now").json()
    assert is_refusal(said)
    assert [(one["code"], one["unknown"]) for one in said["reasons"]] == [("gate_violated", False)]
    assert said["unknown"] is False


def test_a_promotion_is_refused_for_lack_of_sight(tmp_path: Path) -> None:
    with Bench(tmp_path, NOBODY_LISTENS) as bench:
        said = bench.ask_for("promote", reason="now").json()
    assert said["unknown"] is True
    assert all(one["unknown"] for one in said["reasons"])
    assert "Connection refused" in said["reasons"][0]["sentence"]


def test_a_reload_takes_up_new_rules(bench: Bench) -> None:
    bench.write_rules(RULES.replace("deployment-lead", "somebody-else"))
    assert (bench.post("/-/reload").status_code, bench.rollout()["owner"]) == (200, "somebody-else")


def test_a_broken_reload_says_everything_that_is_wrong_and_changes_nothing(bench: Bench) -> None:
    bench.write_rules(BROKEN)
    answer = bench.post("/-/reload")
    assert answer.status_code == 422
    assert is_refusal(answer.json())
    told = [one["sentence"] for one in answer.json()["reasons"]]
    assert len(told) > 1
    assert all(one.startswith(f"{bench.folder}/rules.yml:") for one in told)
    assert bench.rollout()["owner"] == "deployment-lead"
    assert "rollback_daemon_config_last_reload_successful 0.0" in bench.get("/metrics").text
    bench.write_rules(RULES)
    assert bench.post("/-/reload").status_code == 200
    assert "rollback_daemon_config_last_reload_successful 1.0" in bench.get("/metrics").text


def test_a_second_daemon_on_the_same_journal_is_healthy_and_not_ready(bench: Bench, told: PrometheusServer) -> None:
    second = Bench(bench.folder / "second", told.url, ready="/-/healthy", arguments=["--storage.url", f"sqlite:///{bench.folder}/journal.db"])
    with second:
        ready = second.get("/-/ready")
        assert (ready.status_code, ready.text) == (503, "passive: another daemon is in charge of the journal.\n")
        refused = second.ask_for("hold", reason="freeze")
        assert refused.status_code == 409
        assert "passive" in refused.json()["error"]
        page = second.get("/")
        assert (page.status_code, "in charge of the journal is" in page.text, page.headers["content-type"]) == (503, True, "text/html; charset=utf-8")
        bench.daemon.stop()
        wait_until(lambda: second.get("/-/ready").status_code == 200, "the second to take over", 30)


def test_the_openapi_document_is_whole(reading: Bench) -> None:
    document = reading.get("/api/v1/openapi.json").json()
    assert document["openapi"].startswith("3.1")
    assert document["info"] == {"title": "rollbackd", "version": __version__}
    assert {f"{method} {path}" for path, item in document["paths"].items() for method in item} == {
        "get /-/healthy",
        "get /-/ready",
        "post /-/reload",
        "get /metrics",
        "get /api/v1/events",
        "get /api/v1/rollouts",
        "get /api/v1/rollouts/{rollout}",
        "get /api/v1/rollouts/{rollout}/explain",
        "get /api/v1/rollouts/{rollout}/simulation",
        "get /api/v1/rollouts/{rollout}/history",
        "get /api/v1/rollouts/{rollout}/scorecard",
        "get /api/v1/rollouts/{rollout}/report",
        "get /api/v1/rollouts/{rollout}/preflight",
        "post /api/v1/rollouts/{rollout}/promote",
        "post /api/v1/rollouts/{rollout}/rollback",
        "post /api/v1/rollouts/{rollout}/restore",
        "post /api/v1/rollouts/{rollout}/rehearse",
        "post /api/v1/rollouts/{rollout}/hold",
        "post /api/v1/rollouts/{rollout}/resume",
        "post /api/v1/rollouts/{rollout}/propose",
        "post /api/v1/rollouts/{rollout}/approve",
        "post /api/v1/rollouts/{rollout}/reject",
        "post /api/v1/rollouts/{rollout}/withdraw",
        "post /api/v1/rollouts/{rollout}/resolve",
        "post /api/v1/rollouts/{rollout}/acknowledge",
        "post /api/v1/rollouts/{rollout}/cancel",
        "get /api/v1/rollouts/{rollout}/flags",
        "post /api/v1/rollouts/{rollout}/flags/backup",
        "post /api/v1/rollouts/{rollout}/flags/restore",
        "get /api/v1/rollouts/{rollout}/incidents",
        "get /api/v1/rollouts/{rollout}/incidents/{incident}",
        "post /api/v1/rollouts/{rollout}/postmortem",
        "post /api/v1/rollouts/{rollout}/decide",
        "post /api/v1/rollouts/{rollout}/verify",
        "post /api/v1/rollouts/{rollout}/handoff",
        "post /api/v1/rollouts/{rollout}/checkpoint/{name}",
        "post /api/v1/rollouts/{rollout}/evidence/{name}",
    }
    operations = [operation for item in document["paths"].values() for operation in item.values()]
    assert all(operation["summary"] and operation["description"] for operation in operations)
    assert len({operation["operationId"] for operation in operations}) == len(operations)
    for schema in document["components"]["schemas"].values():
        Draft202012Validator.check_schema(schema)
    references = _references(document)
    assert references
    assert {one.removeprefix("#/components/schemas/") for one in references} <= document["components"]["schemas"].keys()
    assert "HTTPValidationError" not in document["components"]["schemas"]


def _references(value: Any) -> set[str]:
    if isinstance(value, list):
        return set().union(*map(_references, value))
    if isinstance(value, dict):
        own = {value["$ref"]} if "$ref" in value else set()
        return own.union(*map(_references, value.values()))
    return set()


def test_every_refusal_is_as_the_openapi_document_says(reading: Bench) -> None:
    document = reading.get("/api/v1/openapi.json").json()
    schema = {"$ref": "#/components/schemas/NotDone", "components": document["components"]}
    for answer in (reading.get("/api/v1/rollouts/nothing"), reading.ask_for("hold"), reading.ask_for("resume", reason="x")):
        Draft202012Validator(schema).validate(answer.json())
        said = document["paths"]["/api/v1/rollouts/{rollout}/hold"]["post"]["responses"]
        assert said[str(answer.status_code)]["content"]["application/json"]["schema"] == {"$ref": "#/components/schemas/NotDone"}
