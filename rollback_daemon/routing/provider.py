"""An OpenFeature provider on the daemon's flag files, for applications (`pip install 'rollback-daemon[openfeature]'`).

Lives here: OpenFeature's words for what was found: values, reasons, error codes, events. Must not live here: reading (`flag_file`), deciding
(`routes`), anything of the daemon itself: an application must not pay for it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

try:
    from openfeature.evaluation_context import EvaluationContext
    from openfeature.event import ProviderEventDetails
    from openfeature.exception import ErrorCode, ProviderNotReadyError
    from openfeature.flag_evaluation import FlagResolutionDetails, Reason
    from openfeature.provider import AbstractProvider, Metadata
except ModuleNotFoundError as error:
    raise ModuleNotFoundError("there is no OpenFeature SDK here: pip install 'rollback-daemon[openfeature]'", name=error.name) from error

from rollback_daemon.flags.text_format import FormatError
from rollback_daemon.routing import routes
from rollback_daemon.routing.flag_file import CHECK_EVERY, SETTLE, FlagFile, Look, Missing
from rollback_daemon.routing.routes import NoKey, NoSuchFlag, Routing, Standing, Unroutable, UnusableKey
from rollback_daemon.routing.values import Kind, read_as

_DIGITS = 12  # of a version, in metadata: enough to tell one content from another

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class _Failure:
    """Why there is no answer."""

    code: ErrorCode
    text: str


@dataclass(frozen=True, slots=True)
class _Plan:
    """What can be known before a request comes: how far each rollout is, and what is told beside every answer from this look."""

    look: Look
    standings: Mapping[str, Standing | _Failure]
    about: routes.Metadata


class FlagFileProvider(AbstractProvider):
    """Flags as they stand in one file that the daemon changes, and the routes that follow from them.

    `store` is the kind of file, as in a rule file: `dotenv`, `json` or `yaml`. A flag that has a routing is answered by it, every other one with
    its own value; a JSON Pointer names a value that lies deeper. While the file is away or broken, the last good content counts: the reason is
    STALE, the metadata says why, and the provider's status is STALE. Without any, the application's default does, with PROVIDER_NOT_READY.

    The file is looked at when flags are asked for, at most once in `check_every` seconds; there is no thread. Thread-safe, and may be forked.
    Raises ValueError for a kind of file that does not exist, or two routings of one flag.
    """

    def __init__(
        self, path: str | Path, store: str, routings: Sequence[Routing] = (), *, check_every: float = CHECK_EVERY, settle: float = SETTLE
    ) -> None:
        super().__init__()
        self._routings = {routing.flag: routing for routing in routings}
        if len(self._routings) < len(routings):
            raise ValueError("two routings answer one flag: leave one of them")
        self._file = FlagFile(Path(path), store, check_every=check_every, settle=settle, changed=self._tell)
        self._lenient = store == "dotenv"  # its values are text, whatever they mean
        self._plan: _Plan | None = None

    def get_metadata(self) -> Metadata:
        """The provider's name."""
        return Metadata(name="rollbackd flag file")

    def initialize(self, evaluation_context: EvaluationContext) -> None:
        """Read the file. Raises ProviderNotReadyError if that cannot be done; later looks may."""
        super().initialize(evaluation_context)
        look = self._file.look()
        if look.content is None:
            raise ProviderNotReadyError(look.problem)

    def resolve_boolean_details(
        self,
        flag_key: str,
        default_value: bool,  # noqa: FBT001 (as the SDK has it)
        evaluation_context: EvaluationContext | None = None,
    ) -> FlagResolutionDetails[bool]:
        """True or false; of a dotenv file also the words for them: true, yes, on, 1 and false, no, off, 0."""
        return self._resolve(Kind.BOOLEAN, flag_key, default_value, evaluation_context)

    def resolve_string_details(
        self, flag_key: str, default_value: str, evaluation_context: EvaluationContext | None = None
    ) -> FlagResolutionDetails[str]:
        """A text."""
        return self._resolve(Kind.STRING, flag_key, default_value, evaluation_context)

    def resolve_integer_details(
        self, flag_key: str, default_value: int, evaluation_context: EvaluationContext | None = None
    ) -> FlagResolutionDetails[int]:
        """A whole number, of a dotenv file also as its digits."""
        return self._resolve(Kind.INTEGER, flag_key, default_value, evaluation_context)

    def resolve_float_details(
        self, flag_key: str, default_value: float, evaluation_context: EvaluationContext | None = None
    ) -> FlagResolutionDetails[float]:
        """A number, of a dotenv file also as text."""
        return self._resolve(Kind.FLOAT, flag_key, default_value, evaluation_context)

    def resolve_object_details(
        self,
        flag_key: str,
        default_value: Sequence[Any] | Mapping[str, Any],
        evaluation_context: EvaluationContext | None = None,
    ) -> FlagResolutionDetails[Sequence[Any] | Mapping[str, Any]]:
        """A list of single values; objects are asked for by the values inside them."""
        return self._resolve(Kind.OBJECT, flag_key, default_value, evaluation_context)

    def _resolve(self, kind: Kind, flag_key: str, default: T, context: EvaluationContext | None) -> FlagResolutionDetails[T]:
        look = self._file.look()
        plan = self._plan
        if plan is None or plan.look is not look:
            plan = self._plan = self._planned(look)
        if look.content is None:
            return _failed(default, _Failure(ErrorCode.PROVIDER_NOT_READY, look.problem or ""), plan.about)
        routing = self._routings.get(flag_key)
        if routing is not None:
            return self._routed(kind, routing, default, context, plan)
        value = look.content.get(flag_key)
        if value is Missing.KEY:
            return _failed(default, _Failure(ErrorCode.FLAG_NOT_FOUND, f'{self._file.path}: "{flag_key}" is not there'), plan.about)
        if isinstance(value, FormatError):
            return _failed(default, _Failure(ErrorCode.PARSE_ERROR, f"{self._file.path}: {value}"), plan.about)
        if value is None:
            return FlagResolutionDetails(default, reason=Reason.DEFAULT, flag_metadata={**plan.about})
        return self._typed(kind, flag_key, value, FlagResolutionDetails(default, reason=Reason.STATIC, flag_metadata={**plan.about}), plan)

    def _routed(self, kind: Kind, routing: Routing, default: T, context: EvaluationContext | None, plan: _Plan) -> FlagResolutionDetails[T]:
        at = plan.standings[routing.flag]
        about: routes.Metadata = {**routing.tags, **plan.about}
        if isinstance(at, _Failure):
            return _failed(default, at, about)
        context = context or EvaluationContext()
        try:
            found = routes.route(routing, at, context.targeting_key, context.attributes)
        except NoKey as error:
            return _failed(default, _Failure(ErrorCode.TARGETING_KEY_MISSING, str(error)), about)
        except UnusableKey as error:
            return _failed(default, _Failure(ErrorCode.INVALID_CONTEXT, str(error)), about)
        reason = Reason.SPLIT if at.mode is routes.Mode.SPLIT else Reason.STATIC
        details = FlagResolutionDetails(default, reason=reason, variant=found.side, flag_metadata={**found.metadata, **plan.about})
        return self._typed(kind, routing.flag, found.value, details, plan)

    def _typed(self, kind: Kind, flag_key: str, value: Any, details: FlagResolutionDetails[T], plan: _Plan) -> FlagResolutionDetails[T]:
        """`details` with the value in them, in the type that was asked for."""
        try:
            details.value = read_as(kind, value, lenient=self._lenient)
        except TypeError as error:
            text = f'{self._file.path}: "{flag_key}" {error}'
            return _failed(details.value, _Failure(ErrorCode.TYPE_MISMATCH, text), plan.about)
        if plan.look.problem is not None:
            details.reason = Reason.STALE
        return details

    def _planned(self, look: Look) -> _Plan:
        about: routes.Metadata = {}
        if look.content is not None:
            about["flags_version"] = look.content.version[:_DIGITS]
        if look.problem is not None:
            about["stale"] = True
            about["stale_because"] = look.problem
        return _Plan(look, {flag: self._standing(routing, look) for flag, routing in self._routings.items()}, about)

    def _standing(self, routing: Routing, look: Look) -> Standing | _Failure:
        if look.content is None:
            return _Failure(ErrorCode.PROVIDER_NOT_READY, look.problem or "")
        values = {}
        for key in routing.flags:
            value = look.content.get(key)
            if isinstance(value, FormatError):
                return _Failure(ErrorCode.PARSE_ERROR, f"{self._file.path}: {value}")
            if value is not Missing.KEY:
                values[key] = value
        try:
            return routes.standing(routing, values)
        except NoSuchFlag as error:
            return _Failure(ErrorCode.FLAG_NOT_FOUND, f"{self._file.path}: {error}")
        except Unroutable as error:
            return _Failure(ErrorCode.PARSE_ERROR, f"{self._file.path}: {error}")

    def _tell(self, before: Look, after: Look) -> None:
        """Say to the SDK what has changed: its status follows from it, and handlers of the application hear of it."""
        if after.problem is not None:
            details = ProviderEventDetails(message=after.problem, error_code=ErrorCode.GENERAL)
            if after.content is None:
                self.emit_provider_error(details)
            else:
                self.emit_provider_stale(details)
        elif before.problem is not None:
            self.emit_provider_ready(ProviderEventDetails(message="the flag file can be read again"))
        if before.content is not None and after.content is not before.content:
            self.emit_provider_configuration_changed(ProviderEventDetails(flags_changed=self._changed(before, after)))

    def _changed(self, before: Look, after: Look) -> list[str]:
        """The routed flags that now route differently."""
        return [flag for flag, routing in self._routings.items() if self._standing(routing, before) != self._standing(routing, after)]


def _failed(default: T, failure: _Failure, about: routes.Metadata) -> FlagResolutionDetails[T]:
    return FlagResolutionDetails(default, error_code=failure.code, error_message=failure.text, reason=Reason.ERROR, flag_metadata={**about})
