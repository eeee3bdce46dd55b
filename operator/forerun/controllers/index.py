"""What the watches have shown, parsed once per generation; no I/O."""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Generic, TypeVar

from forerun.actuators.rollouts import rollout_of
from forerun.api.convert import campaign_from, lessons_from, metrics_source_from, policy_from, storefront_from
from forerun.domain.campaign import Campaign, Key
from forerun.domain.forecast import Lesson
from forerun.domain.policy import MetricsSource, Policy
from forerun.domain.reason import Refusal
from forerun.domain.storefront import Storefront
from forerun.domain.target import Rollout

Raw = dict[str, Any]
T = TypeVar("T")

AUTOSCALERS = frozenset({"HorizontalPodAutoscaler", "ScaledObject"})
WORKLOADS = frozenset({"Deployment", "StatefulSet"})


@dataclass(slots=True)
class Record(Generic[T]):
    """One object: as the API server has it, and as we read it."""

    raw: Raw
    parsed: T | Refusal

    @property
    def value(self) -> T | None:
        return None if isinstance(self.parsed, Refusal) else self.parsed


@dataclass(frozen=True, slots=True)
class Workload:
    """What is kept of a watched Deployment or StatefulSet: a few numbers, not the object."""

    uid: str
    resource_version: str
    replicas: int | None
    ready: int | None
    rollout: Rollout | None = None


@dataclass(slots=True)
class Index:
    """Upserts and removals mark the Storefronts that they concern as dirty."""

    campaigns: dict[Key, Record[Campaign]] = field(default_factory=dict)
    storefronts: dict[Key, Record[Storefront]] = field(default_factory=dict)
    lessons: dict[Key, tuple[Lesson, ...]] = field(default_factory=dict)  # as they stand in the Storefront's status
    plans: dict[Key, Raw] = field(default_factory=dict)
    policies: dict[str, Record[Policy]] = field(default_factory=dict)
    sources: dict[str, Record[MetricsSource]] = field(default_factory=dict)
    autoscalers: dict[str, dict[tuple[str, str], Raw]] = field(default_factory=lambda: defaultdict(dict))
    workloads: dict[tuple[str, str, str], Workload] = field(default_factory=dict)
    dirty: set[Key] = field(default_factory=set)
    unreported: set[tuple[str, Key]] = field(default_factory=set)  # acceptance to be told apart from a reconcile
    _campaigns_of: dict[Key, set[Key]] = field(default_factory=lambda: defaultdict(set))
    _claims: dict[tuple[str, str, str], set[Key]] = field(default_factory=lambda: defaultdict(set))
    _scaled_by: dict[tuple[str, str, str], set[tuple[str, str]]] = field(default_factory=lambda: defaultdict(set))
    _targets_of_autoscaler: dict[tuple[str, str, str], tuple[str, str, str]] = field(default_factory=dict)

    def upsert(self, raw: Raw) -> None:
        """Take an object from a watch, a list or the answer to a write; older versions are ignored."""
        raw["metadata"].pop("managedFields", None)  # half of the memory, and nobody here reads them
        kind, key = raw["kind"], key_of(raw)
        take = {
            "Campaign": self._upsert_campaign,
            "Storefront": self._upsert_storefront,
            "CapacityPlan": self._upsert_capacityplan,
            "CapacityPolicy": self._upsert_capacitypolicy,
            "MetricsSource": self._upsert_metricssource,
        }.get(kind)
        if take is not None:
            take(key, raw)
        elif kind in AUTOSCALERS:
            self._upsert_autoscaler(key, raw)
        elif kind in WORKLOADS:
            self._upsert_workload(kind, key, raw)

    def remove(self, raw: Raw) -> None:
        """Forget a deleted object."""
        kind, key = raw["kind"], key_of(raw)
        if kind == "Campaign":
            self._forget_campaign(key)
        elif kind == "Storefront":
            self._forget_claims(key)
            self.storefronts.pop(key, None)
            self.lessons.pop(key, None)
            self.dirty.add(key)
            self._mark_all_campaigns(key)
        elif kind == "CapacityPlan":
            self.plans.pop(key, None)
            self.dirty.add(key)
        elif kind == "CapacityPolicy":
            self.policies.pop(key.name, None)
            self.dirty.update(self.storefronts)
        elif kind == "MetricsSource":
            self.sources.pop(key.name, None)
            self.dirty.update(self.storefronts)
        elif kind in AUTOSCALERS:
            self.autoscalers[key.namespace].pop((kind, key.name), None)
            self._mark_target(self._forget_target(kind, key))
        elif kind in WORKLOADS:
            self.workloads.pop((kind, key.namespace, key.name), None)
            self._mark_target((kind, key.namespace, key.name))

    def record(self, kind: str, key: Key) -> Record[Any] | None:
        """One object of ours with its verdict, by kind."""
        if kind == "Campaign":
            return self.campaigns.get(key)
        if kind == "Storefront":
            return self.storefronts.get(key)
        return self.policies.get(key.name) if kind == "CapacityPolicy" else self.sources.get(key.name)

    def campaigns_of(self, storefront: Key) -> list[Record[Campaign]]:
        """Records of the accepted campaigns of a Storefront, by name."""
        return [self.campaigns[key] for key in sorted(self._campaigns_of.get(storefront, ()))]

    def claimed_by_other(self, storefront: Key, kind: str, name: str) -> Key | None:
        """The Storefront that had this target first, if it is another one."""
        claims = self._claims.get((kind, storefront.namespace, name), set())
        first = min(claims, key=self._seniority, default=storefront)
        return None if first == storefront else first

    def autoscalers_of(self, kind: str, namespace: str, name: str) -> list[Raw]:
        """The HPAs and ScaledObjects that name this target."""
        known = self.autoscalers.get(namespace, {})
        return [known[claim] for claim in sorted(self._scaled_by.get((kind, namespace, name), ())) if claim in known]

    def all_objects(self) -> Iterator[tuple[str, Key, Raw]]:
        """Every object of ours with its kind and key."""
        for key, campaign in self.campaigns.items():
            yield "Campaign", key, campaign.raw
        for key, storefront in self.storefronts.items():
            yield "Storefront", key, storefront.raw
        for key, plan in self.plans.items():
            yield "CapacityPlan", key, plan

    def _upsert_campaign(self, key: Key, raw: Raw) -> None:
        old = self.campaigns.get(key)
        if old and not is_newer(raw, old.raw):
            return
        if old and _same_spec(raw, old.raw):
            self.campaigns[key] = Record(raw, old.parsed)
            if old.value and _annotations(raw) != _annotations(old.raw):
                self.dirty.add(Key(key.namespace, old.value.storefront))
            return  # else it is our own status coming back
        if old and old.value:
            self._unlink(key, old.value)
        parsed = campaign_from(raw)
        self.campaigns[key] = Record(raw, parsed)
        if isinstance(parsed, Refusal):
            self.unreported.add(("Campaign", key))
            return
        self.unreported.discard(("Campaign", key))
        storefront = Key(key.namespace, parsed.storefront)
        self._campaigns_of[storefront].add(key)
        self.dirty.add(storefront)

    def _upsert_storefront(self, key: Key, raw: Raw) -> None:
        old = self.storefronts.get(key)
        if old and not is_newer(raw, old.raw):
            return
        same = old is not None and _same_spec(raw, old.raw)
        parsed = old.parsed if old and same else storefront_from(raw)
        self.storefronts[key] = Record(raw, parsed)
        if old is None or _learnt(raw) != _learnt(old.raw):
            self.lessons[key] = lessons_from(raw.get("status"))
        if same:
            return
        self._forget_claims(key)
        self._claim(key, parsed)
        self.dirty.add(key)

    def _claim(self, key: Key, parsed: Storefront | Refusal) -> None:
        """Take the targets of an accepted Storefront; a refused one has none, and that is to be told."""
        if isinstance(parsed, Refusal):
            self.unreported.add(("Storefront", key))
            return
        self.unreported.discard(("Storefront", key))
        for tier in parsed.tiers:
            self._claims[(tier.target.kind, key.namespace, tier.target.name)].add(key)

    def _upsert_capacityplan(self, key: Key, raw: Raw) -> None:
        old = self.plans.get(key)
        if old and not is_newer(raw, old):
            return
        self.plans[key] = raw
        # an approval, a foreign edit, or a plan without a Storefront: look at it
        if old is None or not _same_spec(raw, old):
            self.dirty.add(key)

    def _upsert_capacitypolicy(self, key: Key, raw: Raw) -> None:
        old = self.policies.get(key.name)
        if old and not is_newer(raw, old.raw):
            return
        self.policies[key.name] = Record(raw, policy_from(raw))
        if not old or not _same_spec(raw, old.raw):
            self.unreported.add(("CapacityPolicy", key))
            self.dirty.update(self.storefronts)

    def _upsert_metricssource(self, key: Key, raw: Raw) -> None:
        old = self.sources.get(key.name)
        if old and not is_newer(raw, old.raw):
            return
        self.sources[key.name] = Record(raw, metrics_source_from(raw, None))
        if not old or not _same_spec(raw, old.raw):
            self.unreported.add(("MetricsSource", key))
            self.dirty.update(self.storefronts)

    def _upsert_autoscaler(self, key: Key, raw: Raw) -> None:
        kind = raw["kind"]
        known = self.autoscalers[key.namespace]
        old = known.get((kind, key.name))
        if old and not is_newer(raw, old):
            return
        known[(kind, key.name)] = slim_autoscaler(raw)
        reference = (raw.get("spec") or {}).get("scaleTargetRef") or {}
        target = (reference.get("kind", "Deployment"), key.namespace, reference.get("name", ""))
        moved_from = self._forget_target(kind, key)
        if moved_from != target:
            self._mark_target(moved_from)
        self._targets_of_autoscaler[(kind, key.namespace, key.name)] = target
        self._scaled_by[target].add((kind, key.name))
        if old is None or old["spec"] != known[(kind, key.name)]["spec"]:
            self._mark_target(target)

    def _upsert_workload(self, kind: str, key: Key, raw: Raw) -> None:
        at = (kind, key.namespace, key.name)
        status = raw.get("status") or {}
        new = Workload(
            uid=raw["metadata"]["uid"],
            resource_version=raw["metadata"]["resourceVersion"],
            replicas=(raw.get("spec") or {}).get("replicas"),
            ready=status.get("readyReplicas", 0) if "observedGeneration" in status else None,
            rollout=rollout_of(raw),
        )
        old = self.workloads.get(at)
        if old and old.uid == new.uid and version(new.resource_version) < version(old.resource_version):
            return
        self.workloads[at] = new
        if old is None or _seen(old) != _seen(new):
            self._mark_target(at)

    def _forget_campaign(self, key: Key) -> None:
        old = self.campaigns.pop(key, None)
        self.unreported.discard(("Campaign", key))
        if old and old.value:
            self._unlink(key, old.value)

    def _unlink(self, key: Key, campaign: Campaign) -> None:
        storefront = Key(key.namespace, campaign.storefront)
        self._campaigns_of[storefront].discard(key)
        self.dirty.add(storefront)

    def _forget_claims(self, storefront: Key) -> None:
        for claims in self._claims.values():
            if storefront in claims:
                claims.discard(storefront)
                self.dirty.update(claims)

    def _forget_target(self, kind: str, autoscaler: Key) -> tuple[str, str, str] | None:
        """The target that this autoscaler named until now."""
        target = self._targets_of_autoscaler.pop((kind, autoscaler.namespace, autoscaler.name), None)
        if target is not None:
            self._scaled_by[target].discard((kind, autoscaler.name))
        return target

    def _mark_target(self, target: tuple[str, str, str] | None) -> None:
        if target is not None:
            self.dirty.update(self._claims.get(target, ()))

    def _mark_all_campaigns(self, storefront: Key) -> None:
        if self._campaigns_of.get(storefront):
            self.dirty.add(storefront)

    def _seniority(self, storefront: Key) -> tuple[str, Key]:
        record = self.storefronts.get(storefront)
        created = record.raw["metadata"].get("creationTimestamp", "") if record else ""
        return created, storefront


def key_of(raw: Mapping[str, Any]) -> Key:
    return Key(raw["metadata"].get("namespace") or "", raw["metadata"]["name"])


def version(text: str) -> int:
    """Resource versions are comparable numbers since Kubernetes 1.35; anything else counts as 0."""
    return int(text) if text.isdigit() else 0


def is_newer(raw: Raw, known: Raw) -> bool:
    """Whether `raw` is the same incarnation at a later version, or another incarnation."""
    new, old = raw["metadata"], known["metadata"]
    if new.get("uid") != old.get("uid"):
        return str(new.get("creationTimestamp", "")) >= str(old.get("creationTimestamp", ""))
    return version(new.get("resourceVersion", "")) > version(old.get("resourceVersion", ""))


def created_at(raw: Raw) -> datetime:
    return datetime.fromisoformat(raw["metadata"]["creationTimestamp"])


def slim_autoscaler(raw: Raw) -> Raw:
    """Only what says whose floor it is and where it stands."""
    metadata = raw["metadata"]
    kept = (
        "name",
        "namespace",
        "uid",
        "resourceVersion",
        "ownerReferences",
        "labels",
        "creationTimestamp",
        "deletionTimestamp",
    )
    spec = raw.get("spec") or {}
    bounds = ("scaleTargetRef", "minReplicas", "maxReplicas", "minReplicaCount", "maxReplicaCount")
    return {
        "apiVersion": raw["apiVersion"],
        "kind": raw["kind"],
        "metadata": {name: metadata[name] for name in kept if name in metadata},
        "spec": {name: spec[name] for name in bounds if name in spec},
    }


def _seen(workload: Workload) -> tuple[object, ...]:
    """What a decision may depend on."""
    return workload.uid, workload.replicas, workload.ready, workload.rollout is None


def _annotations(raw: Raw) -> dict[str, str]:
    return raw["metadata"].get("annotations") or {}


def _learnt(raw: Raw) -> Any:
    return (raw.get("status") or {}).get("learnt")


def _same_spec(new: Raw, old: Raw) -> bool:
    return bool(
        new["metadata"].get("uid") == old["metadata"].get("uid")
        and new["metadata"].get("generation") == old["metadata"].get("generation")
        and new.get("spec") == old.get("spec")
    )
