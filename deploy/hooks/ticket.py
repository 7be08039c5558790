#!/usr/bin/env python3
"""A hook that opens a ticket for each gate, and each check of evidence, that fails, at GitHub, GitLab or whatever speaks like them. Python's standard
library only.

    hooks:
      - {hook: Ticket, on: [gate_failed, check_failed], command: [/etc/rollbackd/hooks/ticket.py]}

Settings, from the environment of the daemon:

    TICKET_URL         where issues are listed and opened: https://api.github.com/repos/OWNER/NAME/issues,
                       https://gitlab.example.com/api/v4/projects/NUMBER/issues
    TICKET_TOKEN_FILE  the file with the access token
    TICKET_LABEL       the label of the tickets (default: rollbackd)
    TICKET_STYLE       github (default) or gitlab
    TICKET_DRY_RUN     anything: print the ticket, and ask nobody

The same event never opens a second ticket, and what fails again opens none as long as the one before is open: both are written into the text,
where people do not see them, and looked for among the newest hundred tickets with the label.
"""

import json
import os
import sys
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path
from typing import Any

TIMEOUT = 20  # seconds for each of the two requests


class Stays(urllib.request.HTTPRedirectHandler):
    """The token is meant for this server and no other."""

    def redirect_request(self, *_: Any, **__: Any) -> None:
        return None


def main() -> int:
    """Exit code 0 when there is a ticket, 1 when it could not be opened, 2 when something is not set."""
    event = json.load(sys.stdin.buffer)
    style = os.environ.get("TICKET_STYLE", "github")
    ticket = as_ticket(event, os.environ.get("TICKET_LABEL", "rollbackd"), style)
    if os.environ.get("TICKET_DRY_RUN"):
        say(json.dumps(ticket, indent=2))
        return 0
    url = os.environ.get("TICKET_URL", "")
    if not url.startswith(("http://", "https://")) or style not in {"github", "gitlab"}:
        say("set TICKET_URL to where issues are opened, and TICKET_STYLE to github or gitlab")
        return 2
    try:
        known = find(url, ticket, event)
        say(f"there is a ticket: {known}" if known else f"opened: {link(ask('POST', url, ticket))}")
    except (OSError, ValueError) as error:
        say(f"no ticket could be opened: {error}")
        return 1
    return 0


def as_ticket(event: dict[str, Any], label: str, style: str) -> dict[str, Any]:
    """The ticket as the server wants it."""
    facts = event.get("facts", {})
    lines = [
        event["sentence"],
        "",
        *(f"- {name}: {value}" for name, value in shown(event, facts)),
        "",
        f"<!-- {event['id']} -->",
        f"<!-- {subject(event)} -->",
    ]
    what = {"gate_failed": f"gate {facts.get('gate', '?')}", "check_failed": f"check {facts.get('check', '?')}"}.get(event["event"])
    title = f"{event['rollout']}: {what} fails at {event['stage']}" if what else event["sentence"]
    text = "\n".join(lines)
    if style == "gitlab":
        return {"title": title[:250], "description": text, "labels": label}
    return {"title": title[:250], "body": text, "labels": [label]}


def shown(event: dict[str, Any], facts: dict[str, Any]) -> list[tuple[str, Any]]:
    """What a person wants to see first; nothing that is empty."""
    found = [("at", event["at"]), ("owner", event.get("owner")), ("value", facts.get("value")), ("limit", facts.get("limit"))]
    if event["event"] == "check_failed":
        found += [(name, facts.get(name)) for name in ("label", "evidence", "file", "sha256")]
    found += [("runbook", event.get("runbook_url")), ("explanation", event.get("url"))]
    return [(name, value) for name, value in found if value not in {None, ""}]


def subject(event: dict[str, Any]) -> str:
    """What the ticket is about, whenever it happens."""
    facts = event.get("facts", {})
    return "/".join(["rollbackd", event["rollout"], event["event"], str(facts.get("gate") or facts.get("check") or "")])


def find(url: str, ticket: dict[str, Any], event: dict[str, Any]) -> str:
    """The ticket that there is for this event, or is still open for the same subject; "" where there is none."""
    label = ticket["labels"] if isinstance(ticket["labels"], str) else ",".join(ticket["labels"])
    query = urllib.parse.urlencode({"labels": label, "state": "all", "per_page": 100})
    for one in ask("GET", f"{url}?{query}"):
        text = str(one.get("body") or one.get("description") or "")
        is_open = str(one.get("state", "")).startswith("open")
        if f"<!-- {event['id']} -->" in text or (is_open and f"<!-- {subject(event)} -->" in text):
            return link(one)
    return ""


def link(issue: dict[str, Any]) -> str:
    """Where people find it."""
    return str(issue.get("html_url") or issue.get("web_url") or issue.get("number") or issue.get("iid") or "it has no address")


def ask(method: str, url: str, body: dict[str, Any] | None = None) -> Any:
    """One request; its JSON. Raises OSError, and ValueError for what is no JSON."""
    headers = {"accept": "application/json", "content-type": "application/json", "user-agent": "rollbackd-ticket"}
    if file := os.environ.get("TICKET_TOKEN_FILE"):
        headers["authorization"] = f"Bearer {Path(file).read_text(encoding='utf-8').strip()}"
    data = json.dumps(body).encode() if body is not None else None
    request = urllib.request.Request(url, data=data, headers=headers, method=method)  # noqa: S310 (http and https only: see main)
    with urllib.request.build_opener(Stays).open(request, timeout=TIMEOUT) as answer:
        return json.load(answer)


def say(line: str) -> None:
    """On record, as the output of the hook."""
    sys.stdout.write(line + "\n")


if __name__ == "__main__":
    sys.exit(main())
