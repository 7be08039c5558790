"""Which engine results must be of: those of another one are good for nothing, however good they are.

Lives here: the setting, and the refusal. Must not live here: any one format.
"""

from pydantic import Field

from rollback_daemon.evidence.kind import Source
from rollback_daemon.evidence.reading import shown
from rollback_daemon.schema import Part, Text


class EngineSettings(Part):
    """What the rules may say of results of an engine: by which names it may be called, exactly. Without that, any engine is right."""

    engines: list[Text] = Field(default=[], min_length=1)


def refuse_others(source: Source, engine: str | None, settings: EngineSettings, place: str) -> None:
    """Raise ConfigurationError for results of an engine that the rules do not name."""
    if settings.engines and engine not in settings.engines:
        found = "not said" if engine is None else shown(engine)
        wanted = " or ".join(shown(one) for one in settings.engines)
        source.refuse(f"is {found}, and the rules take results of {wanted} only; run the cases with that engine", place)
