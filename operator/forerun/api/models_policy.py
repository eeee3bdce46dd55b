"""CapacityPolicy and MetricsSource: the guard rails of the platform team."""

from datetime import datetime
from typing import Annotated, Self

from pydantic import ConfigDict, Field, model_validator

from forerun.api.models import ApiModel, Head, Label, ObjectName
from forerun.api.models_campaign import Budget, Level, StepPercent, ZoneName, window_rules
from forerun.api.models_storefront import ResourceName
from forerun.api.scalars import Decimal, Duration, Instant, Keywords, Text, WholeNumber, keyed_by, refused, validation

LABEL_KEY = "^([a-z0-9]([-.a-z0-9]*[a-z0-9])?/)?[A-Za-z0-9]([-._A-Za-z0-9]*[A-Za-z0-9])?$"
LABEL_VALUE = "^([A-Za-z0-9]([-._A-Za-z0-9]*[A-Za-z0-9])?)?$"
URL_PATTERN = "^https?://[A-Za-z0-9\\[][-._~:\\[\\]A-Za-z0-9]*(/[-._~%!$&'()*+,;=:A-Za-z0-9/]*)?$"
DRIVER_NAME = "^[a-z0-9]([-a-z0-9]*[a-z0-9])?([.][a-z0-9]([-a-z0-9]*[a-z0-9])?)*$"
MATCHER_NAME = "^[a-zA-Z_][a-zA-Z0-9_]*$"

LabelValue = Annotated[str, Text(63, "a label value", LABEL_VALUE, shortest=0)]
DriverName = Annotated[str, Text(63, "a DRA driver, for example gpu.nvidia.com", DRIVER_NAME)]
LabelKey = Annotated[str, Text(317, "a label key", LABEL_KEY)]


_VALUES_REMEDY = "values must be given with In and NotIn, and only with them"


class SelectorOperator(ApiModel):
    """One requirement of a label selector."""

    model_config = ConfigDict(
        json_schema_extra={
            "x-kubernetes-validations": [
                validation(
                    "(self.operator in ['In', 'NotIn']) == (has(self.values) && size(self.values) > 0)",
                    _VALUES_REMEDY,
                )
            ]
        }
    )

    key: LabelKey
    operator: Annotated[str, Text(12, "In, NotIn, Exists or DoesNotExist", "^(In|NotIn|Exists|DoesNotExist)$")]
    values: Annotated[list[LabelValue], Field(max_length=64)] | None = None

    @model_validator(mode="after")
    def _values_fit(self) -> Self:
        if (self.operator in ("In", "NotIn")) != bool(self.values):
            raise refused(_VALUES_REMEDY)
        return self


class LabelSelector(ApiModel):
    """A label selector; an empty one selects every namespace."""

    match_labels: Annotated[dict[LabelKey, LabelValue], Field(max_length=32)] | None = None
    match_expressions: Annotated[list[SelectorOperator], Field(max_length=32)] | None = None


class PoolSpec(ApiModel):
    """An accelerator pool and how much of its resource there may be."""

    name: Label
    resource: ResourceName
    capacity: Annotated[int, WholeNumber(0, 10_000_000)] = Field(
        description="What there may be at most, with nodes that an autoscaler may still bring."
    )
    node_selector: Annotated[dict[LabelKey, LabelValue], Field(max_length=32)] | None = Field(
        default=None, description="Labels of the pool's nodes; every node that has the resource where it is not said."
    )
    device_driver: DriverName | None = Field(
        default=None, description="DRA driver whose devices in ResourceSlices count on nodes without the resource."
    )


class FreezeWindow(ApiModel):
    """A stretch of time in which nothing is changed, except back to safety."""

    model_config = ConfigDict(json_schema_extra={"x-kubernetes-validations": window_rules("false")})

    name: Label | None = None
    time_zone: ZoneName | None = None
    start: Annotated[datetime, Instant()]
    end: Annotated[datetime, Instant()]


class CapacityPolicySpec(ApiModel):
    """Guard rails for the namespaces that the selector chooses."""

    namespace_selector: LabelSelector | None = Field(
        default=None, description="Namespaces for which the policy holds; all where it is not said."
    )
    pools: (
        Annotated[
            list[PoolSpec],
            Field(max_length=32),
            keyed_by("name"),
        ]
        | None
    ) = None
    budgets: Budget | None = Field(default=None, description="Per campaign, where the campaign names none.")
    freeze_windows: Annotated[list[FreezeWindow], Field(max_length=64)] | None = None
    max_step_up_percent: Annotated[float, Decimal(1, 100_000)] | None = Field(
        default=None, description="Largest single raise, percent of the present floor; no limit where it is not said."
    )
    max_step_down_percent_per_minute: StepPercent | None = Field(
        default=None, description="Largest give-back, percent of the surplus per minute; 10 where it is not said."
    )
    require_approval_above: Annotated[int, WholeNumber(0, 100_000)] | None = Field(
        default=None, description="A floor above this many replicas needs an approval."
    )
    service_level: Level | None = Field(default=None, description="Where a campaign names none; 0.99 by default.")


class CapacityPolicy(Head):
    """Guard rails of the platform team: pools, budgets, freeze windows, approvals, largest steps."""

    spec: CapacityPolicySpec


class SecretKeyRef(ApiModel):
    """One key of a Secret."""

    namespace: Label | None = None
    name: ObjectName
    key: Annotated[str, Text(253, "a key of a Secret", "^[-._a-zA-Z0-9]+$")]


class MetricsSourceSpec(ApiModel):
    """A Prometheus-compatible endpoint and what may be asked of it."""

    url: Annotated[
        str,
        Text(
            1024,
            "an http or https URL without user, query and fragment, for example http://prometheus:9090",
            URL_PATTERN,
            rule="isURL(self) && url(self).getHostname() != ''",
        ),
    ]
    auth_secret_ref: SecretKeyRef | None = Field(default=None, description="Secret that holds a bearer token.")
    timeout: Annotated[float, Duration(1, 60)] | None = Field(default=None, description="5s where it is not said.")
    enforced_matchers: (
        Annotated[
            dict[
                Annotated[str, Text(128, "the name of a Prometheus label", MATCHER_NAME)],
                Annotated[str, Text(256, "a label value", shortest=0)],
            ],
            Field(max_length=16),
            Keywords(
                {
                    "x-kubernetes-validations": [
                        validation(
                            f"self.all(k, k.matches('{MATCHER_NAME}') && size(k) <= 128)",
                            "the keys of enforcedMatchers must be names of Prometheus labels",
                        )
                    ]
                }
            ),
        ]
        | None
    ) = Field(default=None, description="Label matchers added to every query.")


class MetricsSource(Head):
    """A Prometheus-compatible endpoint; no URL stands anywhere else."""

    spec: MetricsSourceSpec
