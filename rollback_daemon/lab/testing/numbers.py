"""Numbers of promtool's notation, as Go reads them: whole ones with a leading zero are octal, underscores stand in whole ones only."""

import math
import re

DIGITS = r"(?:[0-9][0-9_]*\.?[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?"
"""How digits are written, without a sign."""

_OCTAL = re.compile(r"0(?:_?[0-7])+")
_GROUPED = re.compile(r"[1-9][0-9]*(?:_[0-9]+)+")


def number(text: str) -> float | None:
    """The number, with or without a sign; None for digits that are none."""
    sign, bare = (-1.0, text[1:]) if text.startswith("-") else (1.0, text.removeprefix("+"))
    if _OCTAL.fullmatch(bare):
        return sign * int(bare, 8)
    if "_" in bare and not _GROUPED.fullmatch(bare):
        return None
    try:
        found = float(bare)
    except ValueError:
        return None
    return None if math.isinf(found) and bare.lower() != "inf" else sign * found  # Go refuses what is too large
