"""Storefront: where demand is measured, and the tiers that serve it."""

from typing import Annotated

from pydantic import ConfigDict, Field

from forerun.api.models import (
    ApiModel,
    Conditions,
    Count,
    FieldPointer,
    Figure,
    Generation,
    Head,
    Label,
    NameRef,
    ObjectName,
    ObjectRef,
    Query,
    StatusPointer,
    Stored,
    Summary,
)
from forerun.api.models_campaign import Expected
from forerun.api.scalars import Decimal, Duration, Keywords, Text, WholeNumber, keyed_by, validation
from forerun.domain.campaign import CampaignType
from forerun.domain.forecast import CURVE_POINTS
from forerun.domain.observation import LeadTimeSource, StartPart
from forerun.domain.storefront import Provision, Role, TierRelease

MOST_TIERS = 16
MOST_LESSONS = 64
MOST_STARTS = 64
LEARNT_VERSION = 1
# of a logarithm in thousandths: the least 16-bit integer is no number here, but says that nothing was measured
LOWEST_MILLI, HIGHEST_MILLI, NOT_MEASURED = -30_000, 30_000, -32_768
Rate = Annotated[float, Decimal(0, 1_000_000_000, above=True)]
Replicas = Annotated[int, WholeNumber(0, 100_000)]
Memory = Annotated[str, Text(20, "a quantity of memory, for example 12Gi", "^[0-9]+(Ki|Mi|Gi|Ti|k|M|G|T)?$")]
ResourceName = Annotated[
    str,
    Text(253, "a resource, for example nvidia.com/gpu", "^[A-Za-z0-9][-._A-Za-z0-9]*(/[A-Za-z0-9][-._A-Za-z0-9]*)?$"),
]


class Demand(ApiModel):
    """Where demand at the shop's door is measured."""

    metrics_source_ref: NameRef = Field(description="The MetricsSource; no URL stands here.")
    query: Query = Field(description="PromQL of the demand per second at the door.")
    unit: Annotated[str, Text(32, "a unit, for example requests")] | None = Field(
        default=None, description="What is counted; requests where it is not said."
    )


class WarmUp(ApiModel):
    """What must be warm before the tier counts as ready."""

    job_template_ref: NameRef
    hit_ratio_query: Query | None = None
    min_hit_ratio: Annotated[float, Decimal(0, 1, above=True)] | None = None
    timeout: Annotated[float, Duration(1, 86400)] | None = None


class AcceleratorSpec(ApiModel):
    """The accelerator that each replica takes, and the pool it comes from."""

    resource: ResourceName
    per_replica: Annotated[int, WholeNumber(1, 1024)]
    pool: Label


class Fallback(ApiModel):
    """One rung of the degradation ladder, best first."""

    name: Label
    target_ref: ObjectRef
    capacity_per_replica: Rate | None = None


class Admission(ApiModel):
    """Limits at the door that follow Ready capacity."""

    policy_ref: ObjectRef
    per_client: Rate | None = None


class ScaleField(ApiModel):
    """The field that is the floor of a target without a scale subresource, as JSON pointers into the target."""

    model_config = ConfigDict(
        json_schema_extra={
            "x-kubernetes-validations": [
                validation(
                    "!(has(self.minReplicas) && has(self.replicas))",
                    "give minReplicas where an autoscaler of the target's own scales above it, else replicas; not both",
                ),
                validation(
                    "!has(self.maxReplicas) || has(self.minReplicas)",
                    "maxReplicas goes with minReplicas",
                    fieldPath=".maxReplicas",
                ),
                validation(
                    "!has(self.element) || !(has(self.minReplicas) || has(self.replicas))",
                    "element is for known kinds; in a path of your own write [key=value]",
                    fieldPath=".element",
                ),
            ]
        }
    )

    min_replicas: FieldPointer | None = Field(
        default=None, description="A floor above which something else scales, for example /spec/predictor/minReplicas."
    )
    max_replicas: FieldPointer | None = Field(default=None, description="Its ceiling, lifted with it where needed.")
    replicas: FieldPointer | None = Field(
        default=None, description="The number of replicas itself, where nothing else scales the target."
    )
    ready: StatusPointer | None = Field(default=None, description="Ready replicas; else pods of podLabels are counted.")
    pod_labels: (
        Annotated[
            dict[
                Annotated[str, Text(317, "a label's name", shortest=1)],
                Annotated[str, Text(63, "a label's value", shortest=0)],
            ],
            Field(max_length=8),
        ]
        | None
    ) = Field(default=None, description="Labels of the target's pods.")
    element: Label | None = Field(default=None, description="Of a known kind: which of its worker groups is meant.")


class CapacityAheadSpec(ApiModel):
    """Nodes before pods: room for the replicas of a coming raise. Needs capacityAhead in the chart's values."""

    provision: Annotated[Provision, Field(strict=False)] | None = Field(
        default=None,
        description="Buffer writes a CapacityBuffer, Placeholders runs pods that give way; Auto, the default, takes "
        "the first that the cluster knows; None makes no room and only pulls images.",
    )
    lead_time: Annotated[float, Duration(1, 86400)] | None = Field(
        default=None, description="How long before the raise a node has to be asked for; 15m where it is not said."
    )
    pull_images: bool | None = Field(
        default=None, description="Pull the target's images on the nodes that its pods may run on; false by default."
    )


class MemoryGrowthSpec(ApiModel):
    """More memory for the running pods of a tier, instead of more pods. Needs podResize in the chart's values."""

    container: Label = Field(description="Whose memory grows.")
    request: Memory = Field(description="Its memory request while a campaign asks; the limit grows by as much.")


class TierSpec(ApiModel):
    """One tier: what it is, what scales it, and what it can take."""

    model_config = ConfigDict(
        json_schema_extra={
            "x-kubernetes-validations": [
                validation(
                    "!has(self.minReplicas) || self.minReplicas <= self.maxReplicas",
                    "maxReplicas must be at least minReplicas",
                    fieldPath=".maxReplicas",
                ),
                validation(
                    "!has(self.dependsOn) || !(self.name in self.dependsOn)",
                    "dependsOn must not name the tier itself",
                    fieldPath=".dependsOn",
                ),
            ]
        }
    )

    name: Label
    role: Annotated[Role, Field(strict=False)]
    target_ref: ObjectRef = Field(
        description="What is scaled: a kind with a scale subresource, one that is known, or any with scaleField."
    )
    scale_field: ScaleField | None = Field(
        default=None, description="Where the target's floor stands; known kinds need it only to name an element."
    )
    demand_per_request: Annotated[float, Decimal(0, 1_000_000, above=True)] | None = Field(
        default=None, description="Calls of this tier per request at the door; learnt or 1 where it is not said."
    )
    query: Query | None = Field(default=None, description="PromQL of the tier's own demand per second.")
    capacity_per_replica: Rate | None = Field(
        default=None, description="Calls per second that one Ready replica serves; learnt where it is not said."
    )
    min_replicas: Replicas | None = None
    max_replicas: Annotated[int, WholeNumber(1, 100_000)]
    lead_time: Annotated[float, Duration(1, 86400)] | None = Field(
        default=None, description="From scale request to Ready, until measured; 5m where it is not said."
    )
    depends_on: (
        Annotated[
            list[Label],
            Field(max_length=MOST_TIERS),
            Keywords({"x-kubernetes-list-type": "set"}),
        ]
        | None
    ) = Field(
        default=None,
        description="Tiers that must be ready first; the tier before this one where it is not said, none where empty.",
    )
    warm_up: WarmUp | None = None
    release: Annotated[TierRelease, Field(strict=False)] | None = Field(
        default=None, description="Gradual gives back in steps, Never keeps; Never for Cache and Database by default."
    )
    accelerator: AcceleratorSpec | None = None
    capacity_ahead: CapacityAheadSpec | None = None
    memory_growth: MemoryGrowthSpec | None = Field(
        default=None, description="For caches where replicas would move keys: its replicas are left alone."
    )
    fallback: (
        Annotated[
            list[Fallback],
            Field(max_length=8),
            keyed_by("name"),
        ]
        | None
    ) = None
    admission: Admission | None = None


class StorefrontSpec(ApiModel):
    """Demand and tiers."""

    demand: Demand
    tiers: Annotated[
        list[TierSpec],
        Field(
            min_length=1,
            max_length=MOST_TIERS,
            description="The tiers; dependsOn makes the order.",
            json_schema_extra={
                "x-kubernetes-list-type": "map",
                "x-kubernetes-list-map-keys": ["name"],
                "x-kubernetes-validations": [
                    validation(
                        "self.all(t, !has(t.dependsOn) || t.dependsOn.all(d, self.exists(o, o.name == d)))",
                        "dependsOn names a tier that does not exist",
                    ),
                    validation(
                        "self.all(a, self.exists_one(b, a.targetRef.kind == b.targetRef.kind"
                        " && a.targetRef.name == b.targetRef.name"
                        " && a.targetRef.apiVersion.split('/')[0] == b.targetRef.apiVersion.split('/')[0]))",
                        "targetRef stands in two tiers; one target belongs to one tier",
                    ),
                ],
            },
        ),
    ]


class StartPartStatus(ApiModel):
    """One part of the start of a pod."""

    name: Annotated[StartPart, Field(strict=False)]
    p50_seconds: Count
    p95_seconds: Count
    starts: Count = Field(description="Starts of which this part is known.")


class StartSpec(ApiModel):
    """One start of a pod, in seconds from its creation to Ready."""

    pod: Annotated[str, Text(36, "the beginning of a UID", shortest=0)] = Field(description="Beginning of its UID.")
    created: Stored
    seconds: Count
    node_wait_seconds: Count | None = None
    image_pull_seconds: Count | None = None
    container_start_seconds: Count | None = None
    warm_up_seconds: Count | None = None


class StartUpStatus(ApiModel):
    """What pods of the target took from their creation to Ready, as far as the cluster showed it."""

    target: Annotated[str, Text(320, "a kind and a name, for example Deployment/web")]
    p50_seconds: Count
    p95_seconds: Count
    cold_p95_seconds: Count | None = Field(
        default=None, description="p95 of the starts that waited for a node or pulled an image."
    )
    cold_starts: Count | None = None
    parts: Annotated[list[StartPartStatus], Field(max_length=len(StartPart)), keyed_by("name")] | None = Field(
        default=None, description="Where the time goes; ImagePull lies within ContainerStart."
    )
    recent: Annotated[list[StartSpec], Field(max_length=MOST_STARTS)] | None = Field(
        default=None, description="The newest starts, cold and warm: what a restart goes on with."
    )


class RoomStatus(ApiModel):
    """Room ahead of a tier's pods, as it stands."""

    provision: Annotated[Provision, Field(strict=False)]
    replicas: Count
    until: Stored


class StorefrontTierStatus(ApiModel):
    """One tier as it stands."""

    name: Label
    baseline: Count | None = None
    floor: Count | None = None
    ready: Count | None = None
    desired: Count | None = None
    lead_time_seconds: Figure | None = Field(
        default=None, description="From scale request to Ready, as the plan counts; declared until enough is measured."
    )
    lead_time_samples: Count | None = Field(default=None, description="Measured starts that it rests on.")
    lead_time_source: Annotated[LeadTimeSource, Field(strict=False)] | None = None
    start_up: StartUpStatus | None = None
    capacity_ahead: RoomStatus | None = Field(default=None, description="Room that was made ahead of its pods.")


class LessonSpec(ApiModel):
    """What one occurrence did to demand here: the curve of log(demand / usual demand), in thousandths."""

    campaign: ObjectName
    type: Annotated[CampaignType, Field(strict=False)]
    start: Stored
    end: Stored
    expected: Expected | None = Field(default=None, description="What was declared at the time.")
    usual: Figure = Field(description="Mean usual demand per second inside the window.")
    noise_milli: Annotated[int, WholeNumber(0, HIGHEST_MILLI)] = Field(
        description="Spread of one point of the curve on ordinary days."
    )
    uplift_milli: Annotated[
        list[Annotated[int, WholeNumber(NOT_MEASURED, HIGHEST_MILLI)]],
        Field(min_length=CURVE_POINTS, max_length=CURVE_POINTS),
    ] = Field(
        description="Means over equal slices from the start to a quarter of the length after the end; "
        f"{NOT_MEASURED} where nothing was measured."
    )


class LearntSummary(ApiModel):
    """For people: peak demand / usual demand of the occurrences of one type."""

    type: Annotated[CampaignType, Field(strict=False)]
    occurrences: Count
    multiplier: Figure = Field(description="Geometric mean.")
    lowest: Figure | None = None
    highest: Figure | None = None


class LearntStatus(ApiModel):
    """What finished occurrences taught; kept when their Campaigns are deleted."""

    version: Annotated[int, WholeNumber(1, 1_000_000)] = Field(
        description="Of this form; an operator that does not know it leaves it alone."
    )
    occurrences: Annotated[list[LessonSpec], Field(max_length=MOST_LESSONS)] | None = None
    summary: Annotated[list[LearntSummary], Field(max_length=len(CampaignType))] | None = None


class StorefrontStatus(ApiModel):
    """What the operator reports."""

    observed_generation: Generation | None = None
    demand: Figure | None = Field(default=None, description="Last measured demand per second.")
    tiers: (
        Annotated[
            list[StorefrontTierStatus],
            Field(max_length=32),
            keyed_by("name"),
        ]
        | None
    ) = None
    learnt: LearntStatus | None = None
    summary: Summary | None = None
    conditions: Conditions | None = None


class Storefront(Head):
    """A shop: where its demand is measured and the tiers that serve it."""

    spec: StorefrontSpec
