"""A plain number: what a script prints. `0.987`, `98.7%`, `812ms`; ratios become 0-1, durations seconds, sizes bytes."""

from rollback_daemon.durations import parse_quantity
from rollback_daemon.evidence.kind import Figure, Kind, NoSettings, Result, Source
from rollback_daemon.evidence.reading import bounded, shown, text_of

_LONGEST = 100  # characters: nothing longer is a number that somebody can check


def read(source: Source, _settings: NoSettings) -> Result:
    """The one number in the file."""
    text = text_of(bounded(source)).strip()
    if "\n" in text or len(text) > _LONGEST:
        source.refuse("must be one number on one line, and nothing else")
    try:
        value = parse_quantity(text)
    except ValueError:
        source.refuse(f"{shown(text)} is no number; write 0.987, a ratio (98.7%), a duration (812ms) or a size (100MB)")
    return Result({"value": value}, source.digest)


KIND = Kind("a file with one number", {"value": Figure("", "the number; 1% is 0.01, 200ms is 0.2, 1kB is 1000")}, read, alike=True)
