"""What people's chat, pager, mail box and dead man's switch are to Alertmanager: servers that take everything, keep it, and show it as text.

Lives here: receiving, and the shipped configuration made to send here, soon. Must not live here: what should arrive.
"""

import json
import re
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from typing import Any, Self

import yaml
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session

from rollback_daemon.lab.faults import Answer, MisbehavingServer, Request
from rollback_daemon.lab.servers import free_port

SHIPPED = Path(__file__).parents[2] / "deploy" / "alertmanager"
SOON = {"group_wait": "1s", "group_interval": "1s"}


class Mailbox:
    """An SMTP server that keeps every mail."""

    def __init__(self) -> None:
        self.mails: list[EmailMessage] = []
        self.port = free_port()
        self._controller = Controller(self, hostname="127.0.0.1", port=self.port)

    async def handle_DATA(self, _server: SMTP, _session: Session, envelope: Envelope) -> str:  # noqa: N802 (aiosmtpd names it so)
        """One mail has come."""
        parsed = message_from_bytes(envelope.content or b"", policy=policy.default)  # type: ignore[arg-type]  # bytes, as nobody asked for text
        assert isinstance(parsed, EmailMessage)
        self.mails.append(parsed)
        return "250 taken"

    def start(self) -> None:
        self._controller.start()

    def stop(self) -> None:
        self._controller.stop()


class Receivers(MisbehavingServer):
    """The web side of them. As a context manager the mail box runs, too."""

    def __init__(self) -> None:
        self.mailbox = Mailbox()
        super().__init__()

    def __enter__(self) -> Self:
        self.mailbox.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self.mailbox.stop()
        super().__exit__(*exception)

    def answer(self, request: Request, /) -> Answer:
        return Answer(b'{"status": "success"}', "application/json", 202) if request.path == "/pager" else Answer(b"ok", "text/plain")

    def came(self, path: str) -> list[Any]:
        """The JSON of everything that came there."""
        return [json.loads(one.body) for one in self.requests if one.path == path]

    def chats(self, channel: str) -> list[str]:
        """What was said in a channel, as it reads."""
        shown = []
        for one in self.came("/chat"):
            [said] = one["attachments"]
            if one["channel"] == channel:
                assert said["fallback"] == said["title"]
                shown.append(
                    f"{one['username']} in {channel} ({said['color']}), to {said['title_link']}\n{said['title']}\n\n{said['text'].strip()}\n"
                )
        return shown

    def pages(self) -> list[str]:
        """What the pager was told."""
        shown = []
        for one in self.came("/pager"):
            said = one["payload"]
            shown.append(
                f"{one['event_action']} {said['severity']}, to {one.get('client_url')}\n{said['summary']}\n---\n{said['custom_details']['firing']}"
            )
        return shown

    def mails(self, to: str) -> list[str]:
        """The mails to somebody: subject, and both bodies, the second as a browser would read it."""
        shown = []
        for mail in self.mailbox.mails:
            if mail["To"] == to:
                text, html = (part.get_content().replace("\r", "") for part in mail.iter_parts())
                shown.append(f"Subject: {mail['Subject']}\n\n{text.strip()}\n---\n{html.strip()}\n")
        return shown


def configuration(folder: Path, receivers: Receivers) -> str:
    """The shipped configuration with `receivers` at the other end, secrets from `folder`, and waiting times of a test."""
    secrets = {"slack-url": f"{receivers.url}/chat", "smtp-password": "s3cret", "pagerduty-key": "k3y", "deadman-token": "t0ken"}
    folder.mkdir(parents=True)
    for name, secret in secrets.items():
        (folder / name).write_text(secret, encoding="utf-8")
    text = (SHIPPED / "alertmanager.yml").read_text(encoding="utf-8").replace("/etc/alertmanager/secrets", str(folder))
    config = yaml.safe_load(text.replace("https://deadman.example.com", receivers.url))
    del config["global"]["smtp_auth_username"], config["global"]["smtp_auth_password_file"]  # a mail box without a login, and without TLS
    config["global"] |= {
        "smtp_smarthost": f"127.0.0.1:{receivers.mailbox.port}",
        "smtp_require_tls": False,
        "pagerduty_url": f"{receivers.url}/pager",
    }
    config["route"] |= SOON
    config["templates"] = [str(SHIPPED / "rollbackd.tmpl")]
    return json.dumps(config)


def timeless(text: str) -> str:
    """Without the moments in it, and whichever page of the daemon it links to."""
    text = re.sub(r"(https://guard.example.com/)[^\s\"<>]*", r"\1<page>", text)
    return re.sub(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC", "<when>", text)
