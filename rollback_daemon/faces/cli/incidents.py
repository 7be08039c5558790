"""What a person does about an incident: read its report, as `report --incident`, and complete it with `postmortem`."""

from typing import Annotated, Any

import typer

from rollback_daemon.faces.cli.client import DEFAULT_URL, FORMAT, URL, Format, call, path_of, print_json

ROLLOUT = Annotated[str, typer.Argument(help="The rollout's name.")]
REASON = Annotated[str, typer.Option("--reason", help="Why; it goes on record.")]
INCIDENT = Annotated[str, typer.Option("--incident", help="Its id, a part of it that no other has, or last.")]


def written(url: str, rollout: str, incident: str, output: str) -> str:
    """The report of one incident as `markdown`, `json` or `html`. Ends the program where there is none."""
    found = call("GET", url, path_of(rollout, "incidents", incident))
    if output == "json":
        import json

        return json.dumps(found, indent=2, ensure_ascii=False) + "\n"
    if output == "html":
        from rollback_daemon.governance.incident_html import incident_html

        return incident_html(found)
    from rollback_daemon.governance.incident_markdown import incident_markdown

    return incident_markdown(found)


def postmortem(
    rollout: ROLLOUT,
    reason: REASON,
    incident: INCIDENT = "last",
    root_cause: Annotated[str | None, typer.Option("--root-cause", help="Why it happened.")] = None,
    users_affected: Annotated[str | None, typer.Option("--users-affected", help="Who was affected, how many, and how.")] = None,
    fix_plan: Annotated[str | None, typer.Option("--fix-plan", help="What keeps it from happening again.")] = None,
    issues: Annotated[str | None, typer.Option("--issues", help="What went wrong while it was dealt with.")] = None,
    follow_up: Annotated[str | None, typer.Option("--follow-up", help="Who sees to it that the plan is carried out.")] = None,
    complete: Annotated[
        bool, typer.Option("--complete", help="This is all; refused while root cause, users affected or fix plan is missing.")
    ] = False,
    url: URL = DEFAULT_URL,
    output: FORMAT = Format.TABLE,
) -> None:
    """Write what only a person knows of an incident into its report, field by field; the newest of each counts, and all stay on record."""
    fields = {"root_cause": root_cause, "users_affected": users_affected, "fix_plan": fix_plan, "issues": issues, "follow_up": follow_up}
    given: dict[str, Any] = {name: text for name, text in fields.items() if text is not None}
    call("POST", url, path_of(rollout, "postmortem"), {"reason": reason, "incident": incident, "complete": complete, **given})
    found = call("GET", url, path_of(rollout, "incidents", incident))
    if output is Format.JSON:
        print_json(found["postmortem"])
        return
    typer.echo(f"{rollout}: the report of incident {found['incident']} {_state(found['postmortem'])}")


def _state(found: dict[str, Any]) -> str:
    from rollback_daemon.judge.postmortem import FIELDS, option

    if found["complete"]:
        return f"is complete ({found['complete']['by']})"
    lacking = [f"{title} ({option(name)})" for name, title in FIELDS.items() if title in found["missing"]]
    return f"still lacks: {', '.join(lacking)}" if lacking else "has all that it needs; --complete says that this is all"


VERBS = (postmortem,)
