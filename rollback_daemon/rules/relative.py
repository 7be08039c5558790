"""A signal as one expression of PromQL, also where it is held against something.

Must not live here: how its value comes about in the daemon, which asks for both sides and compares by itself (`demands`).
"""

from dataclasses import replace

from rollback_daemon.rules import promql
from rollback_daemon.rules.measures import Relative, Signal, enclosed


def in_promql(signal: Signal) -> str:
    """The query that yields the signal's value; empty where none does: it asks over HTTP, or is held against a baseline, which only we know.

    A control without labels serves every series, and nothing is a share of a control that is 0 or less.
    """
    if signal.endpoints or signal.over_baseline:
        return ""
    if signal.relative is None:
        return signal.expr
    serves_all = "scalar" if promql.is_single(signal.control) else ""
    value, control = enclosed(signal.expr), f"{serves_all}{enclosed(signal.control)}"
    divisor = control if promql.is_scalar(signal.control) else f"{serves_all}({enclosed(signal.control)} > 0)"
    match signal.relative:
        case Relative.SHARE:
            return f"{value} / {divisor}"
        case Relative.AMOUNT:
            return f"{value} - {control}"
        case Relative.GROWTH:
            return f"({value} - {control}) / {divisor}"


def as_one_query(signal: Signal) -> Signal:
    """A signal that is held against a control, as one that is a query of its own; any other as it is."""
    return replace(signal, name=signal.subject, expr=in_promql(signal), relative=None, control="") if signal.control else signal
