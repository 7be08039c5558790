"""The manual page rollbackd(1), made from the command line itself: `python -m rollback_daemon.faces.cli.manual > deploy/man/rollbackd.1`.

It reads the signatures of the verbs, and not typer's own description of them, which changes from version to version: the page must not. Lives
here: what stands on the page, in the macros of man(7). Must not live here: what a verb does, or a word about it that `--help` does not have.
"""

import inspect
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from textwrap import wrap
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from typer.models import ArgumentInfo, OptionInfo

from rollback_daemon import __version__

_DESCRIPTION = """The daemon (rollbackd run) asks Prometheus, judges by rule files, and sets flags back when a limit is breached for its
window. The other verbs talk to a running daemon, or look at files with no daemon running."""
_ENDS = (
    ("0", "yes, or done"),
    ("1", "no, or refused"),
    ("2", "the command line, a file or the configuration has a mistake"),
    ("3", "could not tell"),
)
_SIGNALS = (
    ("SIGTERM, SIGINT", "End after the step that it is in; the next start goes on with what is under way."),
    ("SIGHUP", "Load the configuration and all rule files again. With a mistake in them the ones before stay in force."),
)
_WIDTH = 70  # characters, before escapes
_WORDS = {Path: "FILE", int: "NUMBER", float: "NUMBER", str: "TEXT"}


@dataclass(frozen=True, slots=True)
class _Asked:
    """One option or argument of a verb. `value` is empty for a switch."""

    name: str
    value: str
    is_option: bool
    required: bool
    repeated: bool
    default: str
    variable: str
    help: str

    @property
    def spoken(self) -> str:
        """What is typed: bold as it stands, italic what stands for something."""
        words = [f"\\fB{_text(self.name)}\\fR"] if self.is_option else []
        return " ".join([*words, f"\\fI{_text(self.value)}\\fR"] if self.value else words)

    def in_synopsis(self) -> str:
        """As it stands behind the verb: in brackets when it may be left out."""
        spoken = self.spoken + ("\\|.\\|.\\|." if self.repeated else "")
        return spoken if self.required else f"[{spoken}]"

    def lines(self) -> Iterator[str]:
        """The entry in the list of what the verb takes."""
        more = [f"Default: {self.default}."] if self.default else []
        more += [f"Environment: {self.variable}."] if self.variable else []
        yield from (".TP", self.spoken, *_filled(" ".join([self.help, *more])))


def page(verbs: Iterable[Callable[..., Any]]) -> str:
    """The whole page, in the order of the verbs."""
    listed = [(verb, list(_asked(verb))) for verb in verbs]
    lines = [
        '.\\" Made from the command line by rollback_daemon.faces.cli.manual; change that, or the help of the verb.',
        f'.TH ROLLBACKD 1 "" "rollbackd {__version__}" "User Commands"',
        ".SH NAME",
        "rollbackd \\- takes a feature\\-flag rollout back when Prometheus says it hurts",
        ".SH SYNOPSIS",
        "\\fBrollbackd\\fR \\fIVERB\\fR [\\fIARGUMENTS\\fR]",
        ".br",
        "\\fBrollbackd\\fR \\fB\\-\\-version\\fR | \\fB\\-\\-help\\fR",
        ".SH DESCRIPTION",
        *_filled(_DESCRIPTION),
        ".SH VERBS",
    ]
    for verb, asked in listed:
        lines += _verb(verb, asked)
    lines += [".SH EXIT STATUS", *_list(_ENDS), ".SH SIGNALS", *_list(_SIGNALS), ".SH ENVIRONMENT"]
    lines += _list(sorted({(one.variable, one.help) for _, asked in listed for one in asked if one.variable}))
    lines += [".SH SEE ALSO", ".BR prometheus (1),", ".BR promtool (1)"]
    return "\n".join(lines) + "\n"


def _verb(verb: Callable[..., Any], asked: list[_Asked]) -> Iterator[str]:
    yield f".SS {_text(verb.__name__)}"
    yield from (f"\\fBrollbackd {_text(verb.__name__)}\\fR", *(one.in_synopsis() for one in asked))
    for paragraph in inspect.cleandoc(verb.__doc__ or "").split("\n\n"):
        yield from (".PP", *_filled(paragraph))
    for one in asked:
        yield from one.lines()


def _list(entries: Iterable[tuple[str, str]]) -> Iterator[str]:
    for name, meaning in entries:
        yield from (".TP", f"\\fB{_text(name)}\\fR", *_filled(meaning))


def _asked(verb: Callable[..., Any]) -> Iterator[_Asked]:
    """What a verb takes: its arguments first, then its options."""
    found: list[_Asked] = []
    for name, parameter in inspect.signature(verb).parameters.items():
        if get_origin(parameter.annotation) is not Annotated:
            continue  # typer's own context
        kind, *more = get_args(parameter.annotation)
        info = next(one for one in more if isinstance(one, ArgumentInfo | OptionInfo))
        if info.hidden:
            continue
        found.append(_one(name, kind, info, None if parameter.default is inspect.Parameter.empty else (parameter.default,)))
    yield from sorted(found, key=lambda one: one.is_option)


def _one(name: str, kind: Any, info: ArgumentInfo | OptionInfo, default: tuple[Any] | None) -> _Asked:
    kind, repeated = _kind(kind)
    is_option = isinstance(info, OptionInfo)
    words = [one for one in (info.default, *(info.param_decls or ())) if isinstance(one, str) and one.startswith("-")]  # typer keeps the first apart
    spoken = name if not is_option else ", ".join(words or [f"--{name.replace('_', '-')}"])
    value = "" if kind is bool else (info.metavar or "").strip("[].") or (_word(kind) if is_option or _is_choice(kind) else name.upper())
    variable = info.envvar if isinstance(info.envvar, str) else ""
    shown = "" if default is None or default[0] in {None, "", False} else str(default[0].value if isinstance(default[0], Enum) else default[0])
    return _Asked(spoken, value, is_option, default is None, repeated, shown, variable, info.help or "")


def _kind(kind: Any) -> tuple[Any, bool]:
    """What one value is of, and whether there may be several."""
    if get_origin(kind) in {Union, UnionType}:
        kind = next(one for one in get_args(kind) if one is not type(None))
    return (get_args(kind)[0], True) if get_origin(kind) is list else (kind, False)


def _is_choice(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, Enum)


def _word(kind: Any) -> str:
    return "|".join(one.value for one in kind) if _is_choice(kind) else _WORDS[kind]


def _text(text: str) -> str:
    """Text that means itself: no escapes, and every hyphen can be copied into a shell."""
    return text.replace("\\", "\\e").replace("-", "\\-").replace("'", "\\(aq").replace("`", "\\(ga").replace("^", "\\(ha").replace("~", "\\(ti")


def _filled(text: str) -> Iterator[str]:
    """Lines of running text, none of which begins like a macro."""
    for line in wrap(" ".join(text.split()), _WIDTH, break_long_words=False, break_on_hyphens=False):
        escaped = _text(line)
        yield f"\\&{escaped}" if escaped.startswith(".") else escaped


def main() -> None:
    """Print the page."""
    from rollback_daemon.faces.cli import app

    sys.stdout.write(page(command.callback for command in app.registered_commands if command.callback))


if __name__ == "__main__":
    main()
