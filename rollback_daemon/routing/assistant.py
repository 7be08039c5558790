"""The routing of `rules/assistant-v3.yml`: who is answered by which engine, and what is told beside the answer for audit.

Lives here: that one declaration, which others may be modelled on. Must not live here: code.
"""

from rollback_daemon.routing.routes import Mode, Routing

ASSISTANT_V3 = Routing(
    flag="assistant_engine",
    control="v2",
    experiment="v3",
    salt="assistant-v3",
    decided_by="assistant_engine",
    modes={"v2": Mode.CONTROL, "v3_shadow": Mode.SHADOW, "v3_canary": Mode.SPLIT, "v3_active": Mode.EXPERIMENT},
    percent="ai_assistant_v3_canary_percent",
    keys=("session_name", "user", "targetingKey"),
    tags={"type": "engine_route", "phase": "phase8"},
)
