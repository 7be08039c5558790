"""The rollout that is killed again and again: its ladder, its files, and what its flag file may look like.

Lives here: the files as text. Must not live here: processes (`lane`), what the journal must tell (`verdict`).
"""

import json
from pathlib import Path

ROLLOUT = "crash"
STAGES = ("baseline", "canary", "half", "most", "full")
_SHARES = (0, 10, 50, 80, 100)
_TEMPLATE = """\
# flags of production; edited by hand, too
export DATABASE_URL='postgres://app:s3cr=t@db/prod'
USE_NEW={new}   # switches it on
  PERCENTAGE = {share}

FALLBACK={fallback}
OTHER="not ours"
LAST=1"""

_RULES = """\
rollout: {rollout}
owner: nobody
interval: 200ms
flags:
  store: dotenv
  path: {flags}
  backups: 3
  after_change: {{command: [/bin/sh, {hook}, {ran}], timeout: 10s}}
baseline: {{USE_NEW: "no", PERCENTAGE: "0", FALLBACK: "yes"}}
stages:
{stages}
signals:
  errors: {{expr: max(errors)}}
  latency: {{expr: max(latency)}}
gates:
  - {{gate: Errors, signal: errors, below: 0.5}}
verify:
  - {{command: [/bin/sh, {proof}, {ran}], timeout: 10s}}
  - {{command: [/bin/true]}}
ways_back: [flags, backup, {{command: [/bin/sh, {hook}, {ran}], timeout: 10s}}, {{then: {{rollback: baseline}}}}]
triggers:
  - {{alert: ErrorsHigh, signal: errors, above: 0.5}}
  - {{alert: LatencyHigh, signal: latency, above: 0.5, for: 400ms, action: {{rollback: baseline}}}}
"""
_PROOF = """\
echo "proof $ROLLBACKD_TRANSITION" >> "$1"
sleep 0.03
test $(($(od -An -N1 -tu1 /dev/urandom) % 3)) = 0
"""
_HOOK = """\
echo "$ROLLBACKD_TRANSITION $ROLLBACKD_KIND $ROLLBACKD_FROM $ROLLBACKD_TO" >> "$1"
sleep 0.05
"""


def flags_at(stage: str) -> bytes:
    """The flag file, to the byte, with the flags of `stage`."""
    number = STAGES.index(stage)
    new, fallback = ("yes", "no") if number else ("no", "yes")
    return _TEMPLATE.format(new=new, share=_SHARES[number], fallback=fallback).encode()


def stage_of(content: bytes) -> str | None:
    """The stage whose flag file this is; None for any other content."""
    return next((stage for stage in STAGES if flags_at(stage) == content), None)


class Files:
    """Everything that one daemon reads and writes, in one folder."""

    def __init__(self, folder: Path, prometheus_url: str) -> None:
        """Writes the files; the flags are those of the baseline."""
        folder.mkdir(parents=True)
        self.folder = folder
        self.flags, self.ran = folder / ".env.production", folder / "ran.log"
        self.temporary = folder / ".env.production.rollbackd.tmp"
        self.journal, self.configuration = folder / "journal.db", folder / "rollbackd.yml"
        hook = folder / "hook.sh"
        hook.write_text(_HOOK, encoding="ascii")
        proof = folder / "proof.sh"
        proof.write_text(_PROOF, encoding="ascii")
        self.flags.write_bytes(flags_at("baseline"))
        rungs = zip(STAGES[1:], _SHARES[1:], strict=True)
        stages = "\n".join(f"  - {{stage: {name}, exposure: {share}%, soak: 100ms, set: {_set(share)}}}" for name, share in rungs)
        rules = _RULES.format(rollout=ROLLOUT, flags=self.flags, hook=hook, proof=proof, ran=self.ran, stages=stages)
        (folder / "rules.yml").write_text(rules, encoding="ascii")
        settings = {"prometheus": {"url": prometheus_url, "timeout": "5s"}, "rule_files": ["rules.yml"]}
        self.configuration.write_text(json.dumps(settings), encoding="ascii")

    @property
    def storage_url(self) -> str:
        """The journal, for the command line."""
        return f"sqlite:///{self.journal}"


def _set(share: int) -> str:
    return json.dumps({"USE_NEW": "yes", "PERCENTAGE": str(share), "FALLBACK": "no"})
