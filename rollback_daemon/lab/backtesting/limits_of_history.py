"""What history cannot tell of a rollout, in sentences: what only the daemon asks at the time, and what people and programs do."""

from rollback_daemon.rules.aftercare import Recovery
from rollback_daemon.rules.model import Rollout
from rollback_daemon.signals.questions import distinct, is_endpoint


def untold(rollout: Rollout) -> list[str]:
    """One sentence for each; nothing where history tells all."""
    return [*_measured(rollout), *_of_evidence(rollout), *_said(rollout)]


def _measured(rollout: Rollout) -> list[str]:
    endpoints = [one for one in distinct([rollout.questions()]) if is_endpoint(one)]
    if not endpoints:
        return []
    concerned = sorted(one.name for one in rollout.triggers if any(map(is_endpoint, one.test.questions())))
    gates = sorted(one.name for one in rollout.gates if any(map(is_endpoint, one.signal.questions())))
    who = ", ".join([*(f"trigger {one}" for one in concerned), *(f"gate {one}" for one in gates)]) or "no trigger and no gate"
    return [f"HTTP endpoints have no history, so they are unknown all the time: {who}"]


def _of_evidence(rollout: Rollout) -> list[str]:
    if not any(one.evidence for one in rollout.signals):
        return []
    concerned = sorted(one.name for one in rollout.triggers if any(signal.evidence for signal in one.test.signals()))
    gates = sorted(one.name for one in rollout.gates if one.signal.evidence)
    who = ", ".join([*(f"trigger {one}" for one in concerned), *(f"gate {one}" for one in gates)]) or "no trigger and no gate"
    return [f"figures of evidence have no history in Prometheus, so they are unknown all the time: {who}"]


def _said(rollout: Rollout) -> list[str]:
    found = []
    if any(one.requires != type(one.requires)() for one in rollout.stages):
        found.append("approvals, checkpoints, evidence and rehearsals are taken as given")
    steps = [one for one in rollout.aftercare.verify if not isinstance(one, Recovery)]
    if steps:
        found.append("programs, HTTP checks and log scans that verify a rollback are taken to pass")
    if rollout.aftercare.follow_ups:
        found.append("checks after completion are not run")
    if not rollout.enforce:
        found.append("its mode is observe: nothing is rolled back, and nobody can promote it")
    return found
