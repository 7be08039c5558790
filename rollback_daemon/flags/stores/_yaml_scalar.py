"""How a flag value is written in YAML, so that readers of YAML 1.1 and of 1.2 see the same value.

Lives here: quoting. Must not live here: where a value stands in a document.
"""

import re
from functools import cache
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.nodes import ScalarNode
from yaml import SafeLoader
from yaml.nodes import ScalarNode as OldScalarNode

from rollback_daemon.flags.store import FlagValue

# plain text in block and in flow style, whatever comes after it
_WORDS = re.compile(r"[A-Za-z_][A-Za-z0-9_./-]*(?: [A-Za-z0-9_./-]+)*")
_OLD_BOOLEANS = {"y", "n"}  # booleans in the YAML 1.1 specification, though not to PyYAML
_BARE = re.compile(r"[\x20-\x7e\xa0-\u2027\u202a-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]")
_ESCAPES = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\t": "\\t", "\r": "\\r", "\0": "\\0"}


def rendered(value: FlagValue, quotes: str | None) -> str:
    """`value` as one line of YAML, a list in brackets; text keeps `quotes` (`'` or `"`) if they can hold it, and gets quotes if it would be
    read as anything else.
    """
    if isinstance(value, str):
        return _text(value, quotes)
    if isinstance(value, list | tuple):
        return f"[{', '.join(rendered(element, quotes) for element in value)}]"
    if isinstance(value, bool) or value is None:
        return {True: "true", False: "false", None: "null"}[value]
    return _float(value) if isinstance(value, float) else str(value)


def _float(value: float) -> str:
    """A float that YAML 1.1 takes for one, too: it wants a dot."""
    mantissa, exponent, power = repr(value).partition("e")
    return mantissa + ("" if "." in mantissa else ".0") + exponent + power


def _text(value: str, quotes: str | None) -> str:
    if quotes not in {"'", '"'} and _WORDS.fullmatch(value) and _is_text(value):
        return value
    if quotes == "'" and all(_BARE.match(char) for char in value):
        return "'" + value.replace("'", "''") + "'"
    return '"' + "".join(_ESCAPES.get(char) or (char if _BARE.match(char) else _escape(ord(char))) for char in value) + '"'


def _escape(code: int) -> str:
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"


@cache
def _is_text(plain: str) -> bool:
    """Whether a plain scalar is text to YAML 1.1 and to 1.2, by the resolvers of PyYAML and of ruamel.yaml."""
    resolvers: list[tuple[Any, type]] = [
        (YAML(typ="safe", pure=True).resolver, ScalarNode),
        (SafeLoader(""), OldScalarNode),
    ]
    tags = {str(resolver.resolve(node, plain, (True, False))) for resolver, node in resolvers}
    return tags == {"tag:yaml.org,2002:str"} and plain.lower() not in _OLD_BOOLEANS
