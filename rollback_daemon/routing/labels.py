"""Labels for an application's metrics and logs, so that PromQL can compare the two sides of a rollout.

Lives here: few names, each with few values. Must not live here: keys of sessions or users, which would make a series of each.
"""

from collections.abc import Mapping

from rollback_daemon.routing.routes import CONTROL, EXPERIMENT

LABELS = ("side", "stage")
"""The names, for the metric's declaration."""

NONE = "none"
"""Both values where no side was chosen: an error, and the application's own default was served."""


def labels_of(metadata: Mapping[str, object]) -> dict[str, str]:
    """The labels of one answer, from its flag metadata.

    `side` is `control`, `experiment` or `none`; `stage` is one of the routing's modes, or `none`.
    """
    side = metadata.get("side")
    if side not in {CONTROL, EXPERIMENT}:
        return {"side": NONE, "stage": NONE}
    return {"side": str(side), "stage": str(metadata.get("stage", NONE))}
