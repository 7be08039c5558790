"""Promotions are earned: what refuses one, whose votes count, what voids them, who may break the glass. People log in, at a real daemon."""

import json
from collections.abc import Callable
from typing import Any

from rollback_daemon.lab.faults import Fault, Proxy
from rollback_daemon.lab.servers import PrometheusServer
from tests.acceptance.memory_service import MemoryService, document, text
from tests.acceptance.memory_stand import ROLLOUT, VOTERS, MemoryStand


def refusals(stand: MemoryStand, request: str, by: str) -> list[str]:
    """Why the requests of this kind were refused, as it is on record."""
    return ["; ".join(one["why"]) for one in stand.history("refused", request=request, by=by)]


def test_a_promotion_that_is_not_earned_is_refused_with_every_reason(ten: MemoryStand) -> None:
    ten.health.down = {2, 3}
    ten.wait(lambda: any("HealthChecks" in one["sentence"] for one in ten.explain()["blockers"]), "two endpoints to be missed")
    refused = ten.by("anna", "promote", "--reason", "I think we are fine")
    assert refused.code == 1
    for reason in (
        "soaked ",
        'checkpoint "hour-48" is not on record',
        "no rollback has been rehearsed",
        f'nobody has proposed the promotion to "twenty-five"; it needs {", ".join(VOTERS.values())}',
        "gate HealthChecks: health >= 1 on 3 of 5 series",
        "must be at least 4; not so on {endpoint=",
    ):
        assert reason in refused.err
    assert "anna" in str(ten.history("refused", request="promote"))
    assert ten.flags_now == text(10)
    ten.health.down = {2}
    ten.wait(lambda: not any("HealthChecks" in one["sentence"] for one in ten.explain()["blockers"]), "4 of 5 to be enough")


def test_what_cannot_be_told_is_no_yes_and_no_no(begin: Callable[..., MemoryStand], memory_prometheus: PrometheusServer) -> None:
    with Proxy(memory_prometheus.url) as proxy:
        stand = begin(proxy.url)
        stand.prepare()
        stand.approve(*VOTERS)
        stand.wait_for_nothing_to_block()
        proxy.fault = Fault.HTTP_500
        refused = stand.by("anna", "promote", "--reason", "all five said GO")
        assert refused.code == 3
        assert all(line.startswith("  ? ") for line in refused.err.splitlines()[1:]), refused.err
        assert stand.document == document(10)
        proxy.fault = Fault.NONE
        stand.climb("all five said GO, and now we can see")
    assert stand.document == document(25)


def test_only_votes_of_the_right_people_count(ten: MemoryStand) -> None:
    ten.prepare()
    ten.login("ben", "anna's secret", "wrong")
    wrong = ten.rollbackd("approve", ROLLOUT, "--reason", "fine", "--http.config.file", str(ten.folder / "wrong.login.yml"))
    assert (wrong.code, "the user name or the password is wrong" in wrong.err) == (1, True)
    assert refusals(ten, "approve", "somebody as 'ben'") == ["the user name or the password is wrong (from 127.0.0.1)"]
    forged = ten.ask("frida", "approve", reason="fine", by="ben")
    assert (forged.status_code, forged.json()["reasons"][0]["sentence"].split(" of ")[0]) == (409, "frida has none")  # whatever the body says
    assert says(ten.by("frida", "approve", "--reason", "fine")) == f"frida has none of the roles {', '.join(VOTERS.values())}"
    assert says(ten.by("ben", "approve", "--role", "security-review", "--reason", "fine")) == 'ben does not have the role "security-review"'
    ten.must("ben", "approve", "--reason", "fine", "--condition", "watch the cache for a day")
    assert "ben has voted already" in says(ten.by("ben", "approve", "--reason", "and fine again"))
    ten.say("anna", "propose", reason="once more, in my name")
    assert says(ten.by("anna", "approve", "--reason", "my own idea")) == "who proposes a promotion has no vote on it"
    assert "frida has none of the roles" in refusals(ten, "approve", "frida")[0]
    assert [("has the role" in why or "does not have" in why, "voted already" in why) for why in refusals(ten, "approve", "ben")][-2:] == [
        (True, False),
        (False, True),
    ]
    assert "has no vote on it" in refusals(ten, "approve", "anna")[0]
    [vote] = ten.history("voted")
    assert (vote["by"], vote["role"], vote["go"], vote["conditions"]) == ("ben", "metrics-validation", True, ["watch the cache for a day"])
    assert vote["seen"]["checks"]["HealthChecks"][0] == "pass"
    assert ten.explain()["proposal"]["votes"] == []  # a new proposal, new votes
    assert ten.by("carla", "promote", "--reason", "let us go").code == 1


def says(ran: Any) -> str:
    """The one reason of a refusal."""
    assert ran.code == 1
    [reason] = ran.err.splitlines()[1:]
    return str(reason).removeprefix("  - ")


def test_votes_expire(begin: Callable[..., MemoryStand]) -> None:
    stand = begin(percentage=0, changes={"expires: 24h": "expires: 3s"})
    stand.say("frida", "propose", reason="a day at 0 %")
    stand.approve("ben")
    stand.wait(lambda: stand.history("voided"), "the vote to expire")
    assert stand.history("voided")[0]["why"].startswith("it expired at ")
    late = stand.by("carla", "approve", "--reason", "sorry, I was away")
    assert "no promotion has been proposed; the last one is void: it expired at" in says(late)
    assert "expired" in refusals(stand, "approve", "carla")[0]
    assert stand.explain()["proposal"] is None


def test_votes_from_before_a_change_of_the_rules_are_void(begin: Callable[..., MemoryStand]) -> None:
    stand = begin(percentage=0)
    stand.say("frida", "propose", reason="a day at 0 %")
    stand.approve("anna", "ben", "carla")
    stand.say("carla", "checkpoint/hour-24", decision="GO", reason="a quiet day")
    stand.wait(lambda: stand.history("voided"), "the votes to be void, as the checkpoint came after them")
    stand.say("frida", "propose", reason="with the checkpoint")
    stand.approve("anna", "ben", "carla")
    stand.wait_for_nothing_to_block()
    stand.change_rules({"max_growth: 3": "max_growth: 2.5"})
    assert stand.session.post(f"{stand.daemon.url}/-/reload", timeout=20).ok
    refused = stand.by("anna", "promote", "--reason", "three said GO")
    assert refused.code == 1
    assert "the rule file has changed since it was made" in refused.err
    stand.wait(lambda: len(stand.history("voided")) == 2, "the votes to be void")
    assert [(one["votes"], one["why"]) for one in stand.history("voided")] == [
        (3, "the checkpoints, the evidence or the rehearsal that it was made on have changed since"),
        (3, "the rule file has changed since it was made"),
    ]
    assert stand.flags_now == text(0)


def test_a_no_go_stops_it_until_it_is_resolved_and_the_dissent_stays_on_record(begin: Callable[..., MemoryStand]) -> None:
    stand = begin(percentage=0)
    stand.say("carla", "checkpoint/hour-24", decision="GO", reason="a quiet day")
    stand.say("frida", "propose", reason="a day at 0 %")
    stand.approve("anna", "carla", "dana")  # 3 of 5 are enough
    stand.must("ben", "reject", "--reason", "the cache was never warm")
    refused = stand.by("anna", "promote", "--reason", "three are enough")
    assert refused.code == 1
    assert "NO-GO by ben (metrics-validation): the cache was never warm; it stands until it is withdrawn or resolved" in refused.err
    assert "cannot resolve what speaks against it" in says(stand.by("frida", "resolve", "--of", "ben", "--reason", "nonsense"))
    assert says(stand.by("ben", "resolve", "--of", "ben", "--reason", "oh well")) == "whose NO-GO it is withdraws it"
    stand.must("emil", "resolve", "--of", "ben", "--reason", "the gate asks for 4 warm hours at 10 % anyway")
    stand.climb("three said GO, one NO-GO is resolved")
    assert stand.document == document(10)
    [intent] = stand.history("intended", kind="promote")
    dissent = next(vote for vote in intent["approved_by"] if vote["by"] == "ben")
    assert (dissent["go"], dissent["resolved"]) == (False, "emil: the gate asks for 4 warm hours at 10 % anyway")
    assert [one["why"] for one in stand.history("voted", go=False)] == ["the cache was never warm"]


def test_the_glass_is_broken_by_who_may_with_everybody_told_and_for_ever_on_record(ten: MemoryStand) -> None:
    refused = ten.by("ben", "promote", "--break-glass", "--reason", "I am in a hurry")
    assert refused.code == 1
    assert "ben may not break the glass; who may: deployment-lead" in refused.err
    assert ten.percentages == {10}
    ten.must("anna", "promote", "--break-glass", "--reason", "10 % cannot be served from the old store any more")
    assert ten.document == document(25)
    told = ten.wait_for_alert("RolloutBreakGlass")
    assert (told["labels"]["severity"], told["labels"]["stage"]) == ("critical", "twenty-five")
    assert "anna: 10 % cannot be served" in told["annotations"]["description"]
    [intent] = ten.history("intended", kind="promote")
    assert (intent["by"], intent["code"]) == ("anna", "break_glass")
    assert 'checkpoint "hour-48" is not on record' in "\n".join(intent["past"])
    assert "break-glass" in " ".join(ten.must("anna", "history").out.replace("_", "-").split()).lower()
    ten.daemon.kill()
    ten.daemon.start()
    assert "anna" in ten.get()["broken_glass"]
    ten.must("anna", "rollback", "--reason", "the old store holds again")
    ten.wait_for_resolved("RolloutBreakGlass")
    assert ten.percentages == {10}


def test_a_breach_between_the_last_approval_and_the_promotion_wins(
    ten: MemoryStand, service: MemoryService, memory_prometheus: PrometheusServer
) -> None:
    ten.prepare()
    ten.approve(*VOTERS)
    ten.wait_for_nothing_to_block()
    service.set("genesis_test_pass_rate", 0.94)
    memory_prometheus.wait_for("genesis_test_pass_rate == 0.94")
    refused = ten.by("anna", "promote", "--reason", "all five said GO")
    assert refused.code == 1
    assert "TestPassRateLow" in refused.err
    ten.wait_for_phase("rolled_back")
    assert ten.percentages == {0}
    assert [one["kind"] for one in ten.history("intended") if one["kind"] == "promote" and one["code"] != "rehearsal"] == []


def test_votes_survive_a_kill(ten: MemoryStand) -> None:
    ten.prepare()
    again(ten)
    ten.approve("anna", "ben")
    again(ten)
    ten.approve("carla", "dana", "emil")
    again(ten)
    assert [vote["by"] for vote in ten.explain()["proposal"]["votes"]] == list(VOTERS)
    ten.climb("all five said GO")
    assert ten.document == document(25)
    assert json.dumps(ten.history("voided")) == "[]"


def again(stand: MemoryStand) -> None:
    """kill -9, and a new start."""
    stand.daemon.kill()
    stand.daemon.start()
