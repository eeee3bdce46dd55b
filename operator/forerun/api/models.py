"""What every kind shares: strictness, names, references, conditions, and what an object's head may say."""

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from forerun.api.scalars import LABEL_PATTERN, SUBDOMAIN_PATTERN, Decimal, StoredInstant, Text, WholeNumber, keyed_by

GROUP = "forerun.dev"
VERSION = "v1alpha1"
API_VERSION = f"{GROUP}/{VERSION}"
_SEGMENTS = r"(/([^/~]|~[01])+)+$"
FIELD_POINTER_PATTERN = r"^/(spec|metadata/annotations)" + _SEGMENTS
STATUS_POINTER_PATTERN = r"^/status" + _SEGMENTS
RELEASE_ANNOTATION = f"{GROUP}/release"  # on a Campaign: what somebody gives back by hand

Label = Annotated[str, Text(63, "a name of lower-case letters, digits and dashes, for example cache", LABEL_PATTERN)]
ObjectName = Annotated[
    str, Text(253, "the name of an object: lower-case letters, digits, dashes and dots", SUBDOMAIN_PATTERN)
]
Kind = Annotated[str, Text(63, "a kind, for example Deployment", "^[A-Z][A-Za-z0-9]*$")]
ApiVersion = Annotated[
    str, Text(253, "a group and version, for example apps/v1", "^([a-z0-9][-.a-z0-9]*/)?v[0-9][a-z0-9]*$")
]
# a segment [key=value] is the element of a list with that value, [key] its only one
FieldPointer = Annotated[
    str,
    Text(512, "a JSON pointer into spec or metadata/annotations, for example /spec/minReplicas", FIELD_POINTER_PATTERN),
]
StatusPointer = Annotated[
    str, Text(512, "a JSON pointer into status, for example /status/readyReplicas", STATUS_POINTER_PATTERN)
]
Query = Annotated[str, Text(4096, "a PromQL query")]
ReasonCode = Annotated[str, Text(128, "a reason code, for example CapacityShort", "^[A-Za-z][A-Za-z0-9]*$")]
Message = Annotated[str, Text(32768, "one line of text", shortest=0)]
Stored = Annotated[datetime, StoredInstant()]
Count = Annotated[int, WholeNumber(0, 2**31 - 1)]
Generation = Annotated[int, WholeNumber(0, 10**12)]
# what the operator writes: decimals of at most 15 digits before and 9 after the point
Figure = Annotated[float, Decimal(0, 999_999_999_999_999)]


class ApiModel(BaseModel):
    """Wire names are camelCase, unknown fields are refused, nothing is coerced."""

    model_config = ConfigDict(alias_generator=to_camel, extra="forbid", frozen=True, strict=True)


class NameRef(ApiModel):
    """An object by its name."""

    name: ObjectName


class ObjectRef(ApiModel):
    """An object of any kind by kind and name, in the same namespace."""

    api_version: ApiVersion
    kind: Kind
    name: ObjectName


class Condition(ApiModel):
    """A condition in the standard form of Kubernetes."""

    type: ReasonCode
    status: Annotated[str, Text(7, "True, False or Unknown", "^(True|False|Unknown)$")]
    observed_generation: Generation | None = None
    last_transition_time: Stored
    reason: ReasonCode
    message: Message


Conditions = Annotated[
    list[Condition],
    Field(max_length=32),
    keyed_by("type"),
]


class WindowStatus(ApiModel):
    """One window in absolute UTC."""

    start: Stored
    end: Stored


class Summary(ApiModel):
    """The words of the printer columns."""

    ready: Annotated[str, Text(64, "text", shortest=0)] | None = Field(
        default=None, description="Ready replicas of required ones, for example 12/40."
    )
    peak: Annotated[str, Text(64, "text", shortest=0)] | None = Field(
        default=None, description="Forecast peak for a reader, for example 9.1k/s."
    )
    reason: Annotated[str, Text(256, "text", shortest=0)] | None = Field(
        default=None, description="Reason code of the present state."
    )


class BasicStatus(ApiModel):
    """Status of the kinds that are only read."""

    observed_generation: Generation | None = None
    conditions: Conditions | None = None


class Metadata(BaseModel):
    """The part of an object's metadata that is read; the rest is the API server's business."""

    model_config = ConfigDict(extra="ignore", frozen=True, strict=True)

    name: ObjectName
    namespace: Label = "default"
    uid: Annotated[str, Text(128, "a UID", shortest=0)] = ""
    generation: Generation = 0


class Head(ApiModel):
    """The fields beside `spec`. `status` is read elsewhere."""

    api_version: str = API_VERSION
    kind: str
    metadata: Metadata
    status: Any = None


def title(obj: object, kind: str) -> str:
    """How a refusal calls the object: "Campaign shop/black-friday-drop"; safe for any input."""
    metadata = obj.get("metadata") if isinstance(obj, Mapping) else None
    parts = (metadata.get("namespace"), metadata.get("name")) if isinstance(metadata, Mapping) else ()
    names = [part for part in parts if isinstance(part, str) and part.isascii() and part.isprintable()]
    return f"{kind} {'/'.join(names)[:320]}" if names else kind
