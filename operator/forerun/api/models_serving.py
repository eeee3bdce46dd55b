"""What stands between a tier's Ready replicas and a shop that serves: warm-up, and limits at the door."""

from typing import Annotated

from pydantic import ConfigDict, Field

from forerun.api.models import ApiModel, NameRef, ObjectRef, Query
from forerun.api.scalars import Decimal, Duration, Text, WholeNumber, validation

MOST_KEYS = 5000
Rate = Annotated[float, Decimal(0, 1_000_000_000, above=True)]


class WarmKeysSpec(ApiModel):
    """What to warm first, from a query: the top keys of the last event."""

    query: Query = Field(description="PromQL with one series for each key; the largest values come first.")
    label: Annotated[str, Text(128, "the name of a label", "^[a-zA-Z_][a-zA-Z0-9_]*$")] = Field(
        description="The label that holds the key, for example path."
    )
    limit: Annotated[int, WholeNumber(1, MOST_KEYS)] | None = Field(
        default=None, description="At most so many keys; 1000 where it is not said."
    )


class WarmUpSpec(ApiModel):
    """What must be warm before the tier counts as ready."""

    model_config = ConfigDict(
        json_schema_extra={
            "x-kubernetes-validations": [
                validation(
                    "has(self.jobTemplateRef) || has(self.hitRatioQuery)",
                    "give jobTemplateRef, hitRatioQuery or both; without either there is nothing to wait for",
                ),
                validation(
                    "has(self.hitRatioQuery) == has(self.minHitRatio)",
                    "hitRatioQuery and minHitRatio belong together",
                    fieldPath=".minHitRatio",
                ),
                validation(
                    "!has(self.keys) || has(self.jobTemplateRef)",
                    "keys are for the Job of jobTemplateRef; name it",
                    fieldPath=".keys",
                ),
            ]
        }
    )

    job_template_ref: NameRef | None = Field(
        default=None,
        description="A CronJob of the same namespace with the label forerun.dev/warm-up=true; its jobTemplate is run"
        " once for each occurrence, when the tier's raise is Ready. Suspend it, so that it runs for nobody else.",
    )
    hit_ratio_query: Query | None = Field(default=None, description="PromQL of the hit ratio, from 0 to 1.")
    min_hit_ratio: Annotated[float, Decimal(0, 1, above=True)] | None = Field(
        default=None, description="From this hit ratio on the tier is warm."
    )
    timeout: Annotated[float, Duration(1, 86400)] | None = Field(
        default=None,
        description="From Ready to warm at the longest, then consumers go on; part of the lead time; 10m by default.",
    )
    keys: WarmKeysSpec | None = None


class WaitingRoomSpec(ApiModel):
    """How many visitors a waiting room may let in at a time."""

    requests_per_visitor: Rate = Field(description="Requests per second that one visitor makes, pauses included.")
    config_map_ref: NameRef | None = Field(
        default=None, description="A ConfigMap of the same namespace in which data.activeVisitors is kept."
    )


class AdmissionSpec(ApiModel):
    """Limits at the door that follow Ready capacity; each on an object of its own that has that limit already."""

    model_config = ConfigDict(
        json_schema_extra={
            "x-kubernetes-validations": [
                validation(
                    "has(self.connectionPolicyRef) == has(self.connectionsPerRequest)",
                    "connectionPolicyRef and connectionsPerRequest belong together",
                    fieldPath=".connectionsPerRequest",
                ),
                validation(
                    "!has(self.totalPolicyRef) || has(self.perClient)",
                    "without perClient policyRef is the limit on all already",
                    fieldPath=".totalPolicyRef",
                ),
            ]
        }
    )

    policy_ref: ObjectRef = Field(
        description="The object with the limit on each client where perClient stands, else on all requests: Policy of"
        " k8s.nginx.org, RateLimitPolicy of gateway.nginx.org, BackendTrafficPolicy of Envoy Gateway, Middleware of"
        " Traefik."
    )
    per_client: Rate | None = Field(default=None, description="Requests per second of one client, over all pods.")
    total_policy_ref: ObjectRef | None = Field(
        default=None, description="Beside a limit on each client: the object with the limit on all requests."
    )
    connection_policy_ref: ObjectRef | None = Field(
        default=None, description="The object with the limit on open connections or requests in flight."
    )
    connections_per_request: Rate | None = Field(
        default=None, description="Open connections for each request per second: the seconds that one is held."
    )
    waiting_room: WaitingRoomSpec | None = None


class ConnectionsSpec(ApiModel):
    """New connections per second as a second measure of a tier's size: TLS handshakes bind before requests do."""

    per_replica: Rate = Field(description="New connections per second that one Ready replica takes.")
    per_request: Rate | None = Field(
        default=None, description="New connections for each request at the door; planned for where it is said."
    )
    query: Query | None = Field(
        default=None, description="PromQL of the new connections per second now; followed inside a window."
    )


class AnomalySpec(ApiModel):
    """A signal that demand is an attack; above the threshold live demand raises nothing beyond the plan."""

    query: Query = Field(description="PromQL of one value, for example the share of 4xx or the rate of IDS alerts.")
    threshold: Annotated[float, Decimal(0, 1_000_000_000)]


class ShrinkWhenSpec(ApiModel):
    """For a sharded store: it gives back only while its own operator says that no slot is on its way."""

    object_ref: ObjectRef = Field(description="The object whose status says so, for example a ValkeyCluster.")
    path: Annotated[str, Text(256, "a JSON pointer, for example /status/state", "^(/[A-Za-z0-9._-]+)+$")]
    value: Annotated[str, Text(128, "the value that stands there when the store may shrink")]
