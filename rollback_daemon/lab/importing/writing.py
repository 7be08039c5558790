"""An import as a rule file that people can read: triggers with where they come from, and placeholders for what only they know.

Written by ruamel.yaml. Lives here: the text. Must not live here: what is in it (`draft`).
"""

import io
import re
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.scalarstring import DoubleQuotedScalarString, LiteralScalarString

from rollback_daemon.durations import format_duration
from rollback_daemon.lab.importing.draft import Draft
from rollback_daemon.rules.places import PLACEHOLDER

_WIDTH = 4096  # a line is as long as it was
_PLAIN = re.compile(r"[A-Za-z_/][A-Za-z0-9_./-]*")
_SPAN = re.compile(r"([0-9]+(ms|[smhdwy]))+|[0-9]+(\.[0-9]+)?%")
_WORDS = re.compile(r"true|false|yes|no|on|off|y|n|null", re.IGNORECASE)
_BLOCK = re.compile(
    r"[^\s\x00-\x1f\x7f-\x9f\u2028\u2029\ufeff\ud800-\udfff][^\x00-\x09\x0b-\x1f\x7f-\x9f\u2028\u2029\ufeff\ud800-\udfff]*", re.DOTALL
)
_FLAGS = {"store": "json", "path": "flags.json"}


def rule_file(draft: Draft, rollout: str, interval: timedelta | None, *, whole: bool) -> dict[str, Any]:
    """The rule file as plain values; only its signals and triggers where not the whole is wanted."""
    head = {
        "rollout": rollout,
        "owner": PLACEHOLDER,
        **({"interval": format_duration(interval)} if interval else {}),
        "flags": _FLAGS,
        "baseline": {PLACEHOLDER: False},
        "stages": [{"stage": "canary", "exposure": "10%", "set": {PLACEHOLDER: True}}],
    }
    return {**(head if whole else {}), **({"signals": draft.signals} if draft.signals else {}), "triggers": draft.triggers}


def written(rules: Mapping[str, Any], draft: Draft, sources: str) -> str:
    """The rule file as text, with what is to be filled in above it."""
    shown = _shown(rules)
    if isinstance(triggers := shown.get("triggers"), CommentedSeq):
        for index, origin in enumerate(draft.origins):
            triggers.yaml_set_comment_before_after_key(index, before=_one_line(origin), indent=2)
    yaml = YAML()
    yaml.width = _WIDTH
    yaml.indent(mapping=2, sequence=4, offset=2)
    out = io.StringIO()
    yaml.dump(shown, out)
    return "".join(f"# {line}\n" for line in _head(rules, draft, sources)) + out.getvalue()


def _head(rules: Mapping[str, Any], draft: Draft, sources: str) -> list[str]:
    lines = [f"Imported from {_one_line(sources)}."]
    if "rollout" in rules:
        lines += [
            f"To be written where it says {PLACEHOLDER}, and to be looked at:",
            "  rollout, owner     whose rollout this is",
            "  flags              the file with the flags, and its format",
            "  baseline, stages   every flag at the bottom, and what each stage sets",
        ]
    lines += [f"  {one['alert']}: the limit" for one in draft.triggers if PLACEHOLDER in one.values()]
    if all(one["action"] == "alert" for one in draft.triggers):
        lines.append("No trigger rolls back yet: those that should say action: rollback.")
    return [*lines, "Then: rollbackd check THIS-FILE"] if "rollout" in rules else lines


def _one_line(text: str) -> str:
    """What may stand in a comment."""
    return "".join(one if one.isprintable() else "?" for one in text)


def _shown(value: Any) -> Any:
    """Plain values as ruamel.yaml writes them readably: long texts as blocks, and quotes where YAML could take a text for something else."""
    if isinstance(value, Mapping):
        return CommentedMap((_shown(key), _shown(below)) for key, below in value.items())
    if isinstance(value, list):
        if value and not any(isinstance(one, (dict, list)) for one in value):
            flow = CommentedSeq(map(_shown, value))
            flow.fa.set_flow_style()
            return flow
        return CommentedSeq(map(_shown, value))
    if isinstance(value, str):
        return _text(value)
    return value


def _text(text: str) -> str:
    if "\n" in text and _BLOCK.fullmatch(text) and not re.search(r"[ \t]\n|[ \t]$|\n{2}$", text):
        return LiteralScalarString(text)  # type: ignore[no-any-return]  # ruamel.yaml does not say so
    if _SPAN.fullmatch(text):
        return text
    if "\n" in text or _WORDS.fullmatch(text) or not text.isprintable() or not re.search("[A-Za-z]", text) or re.match(r"[-+.0-9]", text):
        return text if _PLAIN.fullmatch(text) and not _WORDS.fullmatch(text) else DoubleQuotedScalarString(text)
    return text
