"""The CustomResourceDefinitions, made from the models: `crds/` holds what `crd_yaml` says."""

from dataclasses import dataclass, field
from typing import Any

import yaml
from pydantic import BaseModel

from forerun.api.models import GROUP, VERSION, BasicStatus
from forerun.api.models_campaign import Campaign, CampaignSpec, CampaignStatus
from forerun.api.models_plan import CapacityPlan, CapacityPlanSpec, CapacityPlanStatus
from forerun.api.models_policy import CapacityPolicy, CapacityPolicySpec, MetricsSource, MetricsSourceSpec
from forerun.api.models_storefront import Storefront, StorefrontSpec, StorefrontStatus
from forerun.api.schema import structural

HEADER = "# Made by `forerun crds` from forerun.api; edit the models, not this file.\n"


@dataclass(frozen=True, slots=True)
class Column:
    """A printer column of `kubectl get`; `wide` ones appear with `-o wide`."""

    name: str
    path: str
    type: str = "string"
    wide: bool = False


@dataclass(frozen=True, slots=True)
class KindDefinition:
    """What a CRD says beside its schema."""

    model: type[BaseModel]
    spec: type[BaseModel]
    status: type[BaseModel]
    plural: str
    short: str
    columns: tuple[Column, ...]
    namespaced: bool = True
    categories: tuple[str, ...] = field(default=("forerun",))


_AGE = Column("Age", ".metadata.creationTimestamp", "date")

KINDS = (
    KindDefinition(
        Campaign,
        CampaignSpec,
        CampaignStatus,
        "campaigns",
        "camp",
        (
            Column("Type", ".spec.type"),
            # a string: kubectl shows a date in the future as <invalid>
            Column("Starts", ".status.occurrence.start"),
            Column("Phase", ".status.phase"),
            Column("Ready", ".status.summary.ready"),
            Column("Peak", ".status.summary.peak"),
            Column("Reason", ".status.summary.reason"),
            _AGE,
            Column("Storefront", ".spec.storefrontRef.name", wide=True),
            Column("Ends", ".status.occurrence.end", wide=True),
            Column("Priority", ".spec.priority", "integer", wide=True),
            Column("Unserved", ".status.lastOutcome.unservedPercent", wide=True),
        ),
        categories=("all", "forerun"),
    ),
    KindDefinition(
        Storefront,
        StorefrontSpec,
        StorefrontStatus,
        "storefronts",
        "sf",
        (
            Column("Ready", ".status.summary.ready"),
            Column("Reason", ".status.summary.reason"),
            _AGE,
            Column("Source", ".spec.demand.metricsSourceRef.name", wide=True),
            Column("Demand", ".status.demand", wide=True),
        ),
    ),
    KindDefinition(
        CapacityPlan,
        CapacityPlanSpec,
        CapacityPlanStatus,
        "capacityplans",
        "cplan",
        (
            Column("Storefront", ".spec.storefrontRef.name"),
            Column("Peak", ".spec.peak"),
            Column("ReplicaHours", ".spec.cost.replicaHours"),
            Column("Horizon", ".spec.horizon"),
            _AGE,
            Column("Generated", ".spec.generatedAt", wide=True),
            Column("Epoch", ".status.epoch", "integer", wide=True),
        ),
    ),
    KindDefinition(
        CapacityPolicy,
        CapacityPolicySpec,
        BasicStatus,
        "capacitypolicies",
        "cpol",
        (
            Column("ServiceLevel", ".spec.serviceLevel"),
            Column("ApprovalAbove", ".spec.requireApprovalAbove", "integer"),
            Column("StepDown", ".spec.maxStepDownPercentPerMinute"),
            _AGE,
        ),
        namespaced=False,
    ),
    KindDefinition(
        MetricsSource,
        MetricsSourceSpec,
        BasicStatus,
        "metricssources",
        "msrc",
        (
            Column("URL", ".spec.url"),
            Column("Ready", ".status.conditions[?(@.type=='Ready')].status"),
            _AGE,
        ),
        namespaced=False,
    ),
)


def crd_manifests() -> dict[str, dict[str, Any]]:
    """File name -> CustomResourceDefinition (apiextensions.k8s.io/v1), one per kind."""
    return {f"{GROUP}_{kind.plural}.yaml": _manifest(kind) for kind in KINDS}


def crd_yaml() -> dict[str, str]:
    """File name -> text of the file; the same models always make the same bytes."""
    return {
        name: HEADER + yaml.safe_dump(manifest, sort_keys=False, width=120, allow_unicode=False)
        for name, manifest in crd_manifests().items()
    }


def _manifest(kind: KindDefinition) -> dict[str, Any]:
    name = kind.model.__name__
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{kind.plural}.{GROUP}"},
        "spec": {
            "group": GROUP,
            "scope": "Namespaced" if kind.namespaced else "Cluster",
            "names": {
                "kind": name,
                "listKind": f"{name}List",
                "plural": kind.plural,
                "singular": name.lower(),
                "shortNames": [kind.short],
                "categories": list(kind.categories),
            },
            "versions": [
                {
                    "name": VERSION,
                    "served": True,
                    "storage": True,
                    "subresources": {"status": {}},
                    "additionalPrinterColumns": [_column(column) for column in kind.columns],
                    "schema": {"openAPIV3Schema": _schema(kind)},
                }
            ],
        },
    }


def _column(column: Column) -> dict[str, Any]:
    wide = {"priority": 1} if column.wide else {}
    return {"name": column.name, "type": column.type, "jsonPath": column.path, **wide}


def _schema(kind: KindDefinition) -> dict[str, Any]:
    return {
        "type": "object",
        "description": " ".join((kind.model.__doc__ or "").split()),
        "required": ["spec"],
        "properties": {
            "apiVersion": {"type": "string"},
            "kind": {"type": "string"},
            "metadata": {"type": "object"},
            "spec": structural(kind.spec),
            "status": structural(kind.status),
        },
    }
