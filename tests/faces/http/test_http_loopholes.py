"""Lies told over HTTP: names that are the guard's own, wrong logins for nothing, roles and NO-GOs that somebody would be rid of."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from starlette.requests import Request

from rollback_daemon.faces.cli.show import clean
from rollback_daemon.faces.http.caller import CALLER, Caller, NotAllowedError, Way, identify
from rollback_daemon.lab.servers import PrometheusServer, wait_until
from tests.faces.http.bench import RULES, Bench
from tests.faces.http.door import Door, users

PEOPLE = {name: name for name in ("anna", "ben", "carla", "dora", "eve")}
ROLES = {"lead": ["anna", "ben"], "security": ["carla"], "ops": ["dora"]}
ASKING = "requires: {approvals: {roles: [lead, security, ops], quorum: 2 of 3}}"


def test_nobodys_certificate_is_that_of_the_guard() -> None:
    scope: dict[str, Any] = {"type": "http", "method": "POST", "path": "/", "headers": [], "state": {CALLER: Caller("rollbackd", Way.CERTIFICATE)}}
    with pytest.raises(NotAllowedError, match='"rollbackd" stands on record for the guard itself'):
        identify(Request(scope))


def test_what_would_turn_text_around_is_written_out_at_the_terminal() -> None:
    assert clean("all\u202ellew\u2066 \x1b[31m\u2028") == "all\\u202ellew\\u2066 \\x1b[31m\\u2028"


def test_wrong_logins_about_nothing_do_not_keep_others_off_the_record(told: PrometheusServer, tmp_path: Path) -> None:
    with Door(tmp_path, told.url, {"basic_auth_users": users(**PEOPLE)}) as door:
        with door.as_user("anna", "wrong") as stranger:
            for number in range(31):
                stranger.post(f"{door.daemon.url}/api/v1/rollouts/none-{number}/hold", json={"reason": "x"}, timeout=20)
            assert stranger.post(f"{door.daemon.url}/api/v1/rollouts/checkout/hold", json={"reason": "x"}, timeout=20).status_code == 401
        door.session = door.as_user("anna", "anna")
        assert [one["request"] for one in door.history() if one["event"] == "refused"] == ["hold"]


class Voting:
    """A door behind which people vote on the way from the baseline to canary."""

    def __init__(self, folder: Path, prometheus: str) -> None:
        rules = RULES.replace("soak: 0s}", f"soak: 0s, {ASKING}}}")
        self.door = Door(folder, prometheus, {"basic_auth_users": users(**PEOPLE)}, rules=rules)
        self.door.session = self.door.as_user("eve", "eve")
        self.configure(ROLES)

    def configure(self, roles: dict[str, list[str]]) -> None:
        file = self.door.folder / "rollbackd.yml"
        file.write_text(json.dumps({**json.loads(file.read_text(encoding="utf-8")), "roles": roles}), encoding="utf-8")

    def ask(self, who: str, verb: str, **more: str) -> int:
        with self.door.as_user(who, who) as session:
            answer = session.post(f"{self.door.daemon.url}/api/v1/rollouts/checkout/{verb}", json={"reason": "x", **more}, timeout=20)
            return answer.status_code

    def refusal(self) -> str:
        return str(self.door.ask_for("promote", reason="up").json().get("error", ""))


@pytest.fixture
def voting(told: PrometheusServer, tmp_path: Path) -> Voting:
    return Voting(tmp_path, told.url)


def test_a_no_go_outlasts_a_new_proposal_and_a_reload(voting: Voting) -> None:
    with voting.door as door:
        door.set_error_rate(0)
        said = [("anna", "propose"), ("carla", "reject"), ("ben", "approve"), ("dora", "approve"), ("anna", "propose")]
        assert [voting.ask(who, verb) for who, verb in said] == [200] * len(said)
        assert [voting.ask(who, "approve") for who in ("ben", "dora", "carla")] == [200, 200, 409]
        assert "NO-GO by carla (security): x; it stands until it is withdrawn or resolved" in voting.refusal()
        door.write_rules((door.folder / "rules.yml").read_text(encoding="utf-8") + "# touched\n")
        assert door.post("/-/reload").status_code == 200
        wait_until(lambda: any(one["event"] == "voided" for one in door.history()), "the proposal to be void", 20)
        assert [voting.ask(who, verb) for who, verb in [("ben", "propose"), ("anna", "approve"), ("dora", "approve")]] == [200] * 3
        assert "NO-GO by carla" in voting.refusal()
        assert voting.ask("dora", "resolve", of="carla") == 200
        wait_until(lambda: voting.ask("eve", "promote") == 202, "the promotion to be allowed", 20)
        assert "the NO-GO of carla stands" in door.rollbackd("history", "checkout", "--http.config.file", str(door.login_of("eve", "eve"))).out


def test_a_vote_in_a_role_that_was_taken_away_does_not_count(voting: Voting) -> None:
    with voting.door as door:
        door.set_error_rate(0)
        assert [voting.ask(who, verb) for who, verb in [("anna", "propose"), ("ben", "approve"), ("dora", "approve")]] == [200] * 3
        voting.configure({**ROLES, "ops": []})
        assert door.post("/-/reload").status_code == 200
        wait_until(lambda: "1 of 2 approvals; missing: security, ops" in voting.refusal(), "the promotion to be refused for that", 20)
        (gone,) = [one for one in door.history() if one["event"] == "withdrawn"]
        assert (gone["by"], gone["why"]) == ("dora", 'dora does not have the role "ops" any more')
        voting.configure(ROLES)
        assert door.post("/-/reload").status_code == 200
        assert voting.ask("dora", "approve") == 200
        wait_until(lambda: voting.ask("eve", "promote") == 202, "the promotion to be allowed", 20)


def test_what_a_rehearsal_comes_back_to_cannot_be_changed_meanwhile(told: PrometheusServer, tmp_path: Path) -> None:
    rules = RULES + 'rehearsal: {steps: [{command: [sh, -c, "until test -e go-on; do sleep 0.02; done"]}]}\n'
    rules = rules.replace("test -e go-on", f"test -e {tmp_path}/go-on")
    with Bench(tmp_path, told.url, rules=rules) as bench:
        bench.set_error_rate(0)
        bench.to_canary()
        assert bench.ask_for("rehearse", reason="friday").status_code == 202
        bench.wait_for(stage="baseline", phase="rolled_back")
        for other, why in (
            ('SHARE: "10"', 'flags of "canary" cannot change while a rollback of it is being rehearsed'),
            ("canary", '"canary" is gone'),
        ):
            bench.write_rules(rules.replace(other, 'SHARE: "40"' if "SHARE" in other else "bird"))
            answer = bench.post("/-/reload")
            assert (answer.status_code, why in answer.text.replace("\\", "")) == (422, True)
        bench.write_rules(rules.replace("soak: 1h", "soak: 2h"))
        assert bench.post("/-/reload").status_code == 200
        (tmp_path / "go-on").touch()
        wait_until(lambda: any(one["event"] == "rehearsed" and one["passed"] for one in bench.history()), "the rehearsal to pass", 20)
        assert "SHARE=10" in bench.flags.read_text(encoding="utf-8")


def test_no_name_that_somebody_logs_in_with_steers_the_terminal_of_the_log() -> None:
    says = (
        "from rollback_daemon.faces import logs; import structlog; logs.configure('info', 'logfmt'); "
        "structlog.get_logger().warning('a login was refused', user='\\x1b[31mroot\\r\\x9b2J\\u202e', why=['\\x1b', 'b'])"
    )
    done = subprocess.run([sys.executable, "-c", says], capture_output=True, text=True, check=True, timeout=60)
    assert done.stderr.endswith("\n")
    assert done.stderr[:-1].isprintable()
    assert "root" in done.stderr
