"""The written forms of single values: decimals, durations, times, dates, names.

Each form is one frozen marker for `typing.Annotated`: `parse` reads it into a plain
value, `schema` says the same to the API server, so that both refuse alike.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic.config import JsonDict
from pydantic_core import PydanticCustomError, core_schema

DAY_SECONDS = 86400.0
LONGEST_WINDOW_SECONDS = 400 * DAY_SECONDS

DECIMAL_PATTERN = "^[0-9]{1,15}([.][0-9]{1,9})?$"
DURATION_PATTERN = "^([0-9]{1,5}h)?([0-9]{1,6}m)?([0-9]{1,8}s)?$"
DATE_PATTERN = "^20[0-9]{2}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])$"
OFFSET_PATTERN = "(Z|[+-](0[0-9]|1[0-4]):[0-5][0-9])$"
INSTANT_PATTERN = (
    DATE_PATTERN[:-1] + "[T ]([01][0-9]|2[0-3]):[0-5][0-9](:[0-5][0-9]([.][0-9]{1,6})?)?" + f"({OFFSET_PATTERN[:-1]})?$"
)
LABEL_PATTERN = "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"
SUBDOMAIN_PATTERN = "^[a-z0-9]([-.a-z0-9]*[a-z0-9])?$"

INSTANT_EXAMPLE = '"2026-11-27T08:00:00" with a timeZone, or "2026-11-27T08:00:00+01:00"'
INSTANT_REMEDY = f"must be a date and time of the years 2000 to 2099, for example {INSTANT_EXAMPLE}"


def refused(remedy: str) -> PydanticCustomError:
    """The error whose message becomes the remedy of a `Refusal`."""
    return PydanticCustomError("refused", "{remedy}", {"remedy": remedy})


def validation(rule: str, message: str, **more: str) -> JsonDict:
    """One CEL rule of the CRD."""
    return {"rule": rule, "message": message, **more}


@dataclass(frozen=True, slots=True, eq=False)  # typing hashes it, and a mapping has no hash
class Keywords:
    """Keywords of the structural schema that pydantic has no word for, beside a list, a map or an object."""

    extra: Mapping[str, Any]

    def __get_pydantic_json_schema__(
        self, schema: core_schema.CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        return {**handler(schema), **self.extra}


def keyed_by(key: str) -> Keywords:
    """A list whose items are told apart by one field, so that writers can own single items."""
    return Keywords({"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": [key]})


@dataclass(frozen=True, slots=True)
class Scalar:
    """A written form; `parse` raises `refused(...)`, `schema` is the structural schema of it."""

    def parse(self, value: object) -> Any:
        """The value that was written; raises `refused(...)`."""
        raise NotImplementedError

    def schema(self) -> dict[str, Any]:
        """The form as a structural schema."""
        raise NotImplementedError

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> core_schema.CoreSchema:
        parse: Callable[[Any], Any] = self.parse
        return core_schema.no_info_plain_validator_function(parse)

    def __get_pydantic_json_schema__(
        self, schema: core_schema.CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        return self.schema()


@dataclass(frozen=True, slots=True)
class Decimal(Scalar):
    """A number as a string ("0.99") or an integer, never a float: floats drift in stored objects."""

    low: float
    high: float
    above: bool = False  # low itself is refused

    @property
    def remedy(self) -> str:
        """What the author of a misfit should write."""
        lower = f"above {self.low:g}" if self.above else f"from {self.low:g}"
        example = "0.99" if self.high <= 1 else "6"
        joint = "and at most" if self.above else "to"
        upper = f"{self.high:.0f}" if self.high >= 1 else f"{self.high:g}"
        return f'must be a decimal {lower} {joint} {upper}, in quotes, for example "{example}"'

    def parse(self, value: object) -> float:
        """The number; refused outside of the bounds."""
        text = value if isinstance(value, str) else ""
        if isinstance(value, int) and not isinstance(value, bool) and abs(value) < 10**15:
            text = str(value)
        if not re.fullmatch(DECIMAL_PATTERN, text):
            raise refused(self.remedy)
        number = float(text)
        if not self.low <= number <= self.high or (self.above and number == self.low):
            raise refused(self.remedy)
        return number

    def schema(self) -> dict[str, Any]:
        compare = ">" if self.above else ">="
        rule = (
            f"(type(self) == int || string(self).matches('{DECIMAL_PATTERN}'))"
            f" && double(self) {compare} {_cel_double(self.low)} && double(self) <= {_cel_double(self.high)}"
        )
        return {
            "anyOf": [{"type": "integer"}, {"type": "string"}],
            "x-kubernetes-int-or-string": True,
            "maxLength": 25,
            "x-kubernetes-validations": [validation(rule, self.remedy)],
        }


def decimal(value: float) -> str:
    """As `Decimal` reads it back: digits and at most one point."""
    return f"{value:.9f}".rstrip("0").rstrip(".")


def _cel_double(number: float) -> str:
    """A double literal of CEL; repr would write 1e+16, which reads worse in a CRD."""
    text = format(number, ".9f").rstrip("0")
    return text + "0" if text.endswith(".") else text


@dataclass(frozen=True, slots=True)
class Duration(Scalar):
    """Elapsed time such as 30s, 5m, 4h or 1h30m; parsed to seconds."""

    low_seconds: int = 1
    high_seconds: int = int(LONGEST_WINDOW_SECONDS)

    @property
    def remedy(self) -> str:
        """What the author of a misfit should write."""
        return (
            f"must be a duration from {self.low_seconds}s to {_in_words(self.high_seconds)}, "
            "in hours, minutes and seconds, for example 4h, 90m or 1h30m"
        )

    def parse(self, value: object) -> float:
        """Seconds."""
        found = re.fullmatch(DURATION_PATTERN, value) if isinstance(value, str) and value else None
        if found is None:
            raise refused(self.remedy)
        hours, minutes, seconds = (int(part[:-1]) if part else 0 for part in found.groups())
        total = hours * 3600 + minutes * 60 + seconds
        if not self.low_seconds <= total <= self.high_seconds:
            raise refused(self.remedy)
        return float(total)

    def schema(self) -> dict[str, Any]:
        rule = (
            f"self.matches('{DURATION_PATTERN}') && duration(self) >= duration('{self.low_seconds}s')"
            f" && duration(self) <= duration('{self.high_seconds}s')"
        )
        return {
            "type": "string",
            "minLength": 2,
            "maxLength": 24,
            "x-kubernetes-validations": [validation(rule, self.remedy)],
        }


def _in_words(seconds: int) -> str:
    return f"{seconds // 3600}h" if seconds % 3600 == 0 else f"{seconds // 60}m"


@dataclass(frozen=True, slots=True)
class Instant(Scalar):
    """A date and time: naive where it carries no offset, aware where it does."""

    def parse(self, value: object) -> datetime:
        """A naive or an aware datetime, as it was written."""
        # YAML without quotes makes a datetime of it; JSON never does
        text = value.isoformat() if isinstance(value, datetime) else value
        if not isinstance(text, str) or not re.fullmatch(INSTANT_PATTERN, text):
            raise refused(INSTANT_REMEDY)
        try:
            return datetime.fromisoformat(text)
        except ValueError:
            raise refused(INSTANT_REMEDY) from None

    def schema(self) -> dict[str, Any]:
        real = f"self.matches('{INSTANT_PATTERN}') && {cel_timestamp('self')} >= timestamp('1999-12-31T00:00:00Z')"
        return {
            "type": "string",
            "maxLength": 32,
            "x-kubernetes-validations": [validation(real, INSTANT_REMEDY)],
        }


def cel_timestamp(path: str) -> str:
    """CEL for the written instant at `path`: as it stands, a local one as if it were UTC."""
    seconds = f"({path}.matches('^.{{16}}:') ? {path}.find('^.{{19}}([.][0-9]+)?') : {path}.substring(0, 16) + ':00')"
    offset = f"({path}.matches('{OFFSET_PATTERN}') ? {path}.find('{OFFSET_PATTERN}') : 'Z')"
    return f"timestamp({seconds}.replace(' ', 'T') + {offset})"


@dataclass(frozen=True, slots=True)
class StoredInstant(Scalar):
    """A time that the operator wrote: RFC 3339 in UTC, parsed to an aware datetime."""

    def parse(self, value: object) -> datetime:
        """An aware datetime in UTC."""
        try:
            found = datetime.fromisoformat(value) if isinstance(value, str) else None
            if found is not None and found.tzinfo is not None:
                return found.astimezone(UTC)
        except (ValueError, OverflowError):
            pass
        raise refused('must be a time in UTC, for example "2026-11-27T07:00:00Z"')

    def schema(self) -> dict[str, Any]:
        return {"type": "string", "format": "date-time", "maxLength": 40}


@dataclass(frozen=True, slots=True)
class LocalDate(Scalar):
    """A calendar date in the schedule's own zone."""

    def parse(self, value: object) -> date:
        """The date."""
        if isinstance(value, date) and not isinstance(value, datetime):
            return value
        try:
            if isinstance(value, str) and re.fullmatch(DATE_PATTERN, value):
                return date.fromisoformat(value)
        except ValueError:
            pass
        raise refused('must be a date of the years 2000 to 2099, for example "2026-12-25"')

    def schema(self) -> dict[str, Any]:
        return {"type": "string", "format": "date", "maxLength": 10, "pattern": DATE_PATTERN}


@dataclass(frozen=True, slots=True)
class Text(Scalar):
    """A string of bounded length and, where `pattern` is given, of one form."""

    longest: int
    what: str  # "a DNS label in lower case, for example web"
    pattern: str = ""
    shortest: int = 1
    rule: str = ""  # CEL beyond the pattern, refused with the same words

    @property
    def remedy(self) -> str:
        """What the author of a misfit should write."""
        return f"must be {self.what}, at most {self.longest} characters"

    def parse(self, value: object) -> str:
        """The string as it stands."""
        form = self.pattern or r"[^\x00\ud800-\udfff]*"
        if (
            not isinstance(value, str)
            or not self.shortest <= len(value) <= self.longest
            or not re.fullmatch(form, value)
        ):
            raise refused(self.remedy)
        return value

    def schema(self) -> dict[str, Any]:
        schema: dict[str, Any] = {"type": "string", "maxLength": self.longest}
        if self.shortest:
            schema["minLength"] = self.shortest
        if self.pattern:
            schema["pattern"] = self.pattern
        if self.rule:
            schema["x-kubernetes-validations"] = [validation(self.rule, self.remedy)]
        return schema


@dataclass(frozen=True, slots=True)
class WholeNumber(Scalar):
    """An integer within bounds."""

    low: int
    high: int

    def parse(self, value: object) -> int:
        """The integer as it stands."""
        if not isinstance(value, int) or isinstance(value, bool) or not self.low <= value <= self.high:
            raise refused(f"must be a whole number from {self.low} to {self.high}")
        return value

    def schema(self) -> dict[str, Any]:
        form = "int32" if self.low >= -(2**31) and self.high < 2**31 else "int64"
        return {"type": "integer", "format": form, "minimum": self.low, "maximum": self.high}
