"""Hooks of a real daemon: a hook that hangs is in nobody's way, and a kill loses nothing."""

import sys
from pathlib import Path
from typing import Any

from rollback_daemon.lab.faults import Fault
from rollback_daemon.lab.servers import PrometheusServer, wait_until
from tests.faces.http.bench import RULES, Bench
from tests.hooks.receiver import TICKET, Issues, Receiver

PATIENCE = 30


def with_hooks(*hooks: str) -> str:
    return RULES + "hooks:\n" + "".join(f"  - {hook}\n" for hook in hooks)


def entries(bench: Bench, kind: str, **facts: Any) -> list[Any]:
    """What is on record of that kind, with these facts."""
    return [one for one in bench.history() if one["event"] == kind and facts.items() <= one.items()]


def test_a_hook_that_hangs_changes_nothing_for_the_rollback_and_goes_on_after_a_kill(told: PrometheusServer, tmp_path: Path) -> None:
    with Receiver() as chat, Receiver() as slow, Issues() as issues:
        slow.fault = Fault.HANG
        rules = with_hooks(
            f"{{hook: Slow, on: [promoted, rolled_back], http: '{slow.url}/', timeout: 60s}}",
            f"{{hook: Ticket, on: [gate_failed], command: [{sys.executable}, {TICKET}]}}",
            f"{{hook: Chat, on: [rolled_back], http: '{chat.url}/'}}",
        )
        bench = Bench(tmp_path, told.url, rules=rules, env={"TICKET_URL": f"{issues.url}/issues"})
        with bench:
            bench.set_error_rate(0)
            bench.to_canary()
            wait_until(lambda: slow.requests, "the hook to hang", PATIENCE)
            bench.set_error_rate(0.005)  # too much for the gate, not for the trigger
            wait_until(lambda: issues.kept, "a ticket for the gate", PATIENCE)
            assert issues.kept[0]["title"] == "checkout: gate Errors fails at canary"
            bench.set_error_rate(0.5)
            bench.wait_for(stage="baseline", phase="rolled_back")
            assert "NEW_CHECKOUT=false" in bench.flags.read_text()
            wait_until(lambda: chat.told, "the other hook to be told", PATIENCE)
            assert chat.told[0]["event"] == "rolled_back"
            assert "error_rate 0.5 > 0.01" in chat.told[0]["sentence"]
            wait_until(lambda: entries(bench, "hooked", hook="Chat"), "its end on record", PATIENCE)
            assert entries(bench, "hooked", hook="Slow") == []
            (behind,) = wait_until(
                lambda: bench.get("/api/v1/rollouts/checkout/explain").json()["hooks"], "the hook to be told to be behind", PATIENCE
            )
            assert (behind["hook"], behind["waiting"], behind["on"], behind["error"]) == ("Slow", 2, "promoted", "")
            assert "hook behind  Slow  2 events wait since" in bench.rollbackd("explain", "checkout").out
            assert 'rollback_daemon_hook_deliveries_total{hook="Chat",outcome="delivered",rollout="checkout"} 1.0' in bench.get("/metrics").text
            bench.daemon.kill()
            slow.fault = Fault.NONE
            bench.daemon.start()
            wait_until(lambda: len(entries(bench, "hooked", hook="Slow")) == 2, "what was interrupted to be delivered", PATIENCE)
            first, *again = [request["id"] for request in slow.told if request["event"] == "promoted"]
            assert again == [first]
            assert [one["on"] for one in entries(bench, "hooked", hook="Slow")] == ["promoted", "rolled_back"]
            assert len(chat.told) == 1


def test_a_hook_that_kills_the_daemon_does_not_come_before_the_rollback(told: PrometheusServer, tmp_path: Path) -> None:
    called, enough = tmp_path / "called", tmp_path / "enough"
    deadly = f"echo x >> {called}; [ -e {enough} ] || kill -9 $PPID"
    bench = Bench(tmp_path, told.url, rules=with_hooks(f"{{hook: Deadly, on: [gate_failed], command: [/bin/sh, -c, '{deadly}']}}"))
    bench.set_error_rate(0)
    with bench:
        bench.to_canary()
        bench.set_error_rate(0.005)  # too much for the gate, not for the trigger
        wait_until(lambda: not bench.daemon.running, "the hook to end the daemon", PATIENCE)
        bench.set_error_rate(0.5)
        bench.daemon.stop()
        bench.daemon.start()
        wait_until(lambda: "NEW_CHECKOUT=false" in bench.flags.read_text(), "the flags to be lowered", PATIENCE)
        assert called.read_text() == "x\n", "not called again before that"
        enough.touch()
        wait_until(lambda: entries(bench, "hooked", hook="Deadly", error=""), "the hook to be called again", PATIENCE)
