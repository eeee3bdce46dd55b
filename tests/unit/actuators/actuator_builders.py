"""Snapshots, ledger entries and raw autoscalers with only what a test says of them."""

from datetime import UTC, datetime

from forerun.domain.ledger import Bounds, LedgerEntry, Owner
from forerun.domain.storefront import TargetRef
from forerun.domain.target import TargetSnapshot

WEB = TargetRef("apps/v1", "Deployment", "web")
AT = datetime(2026, 11, 27, tzinfo=UTC)


def snapshot(owner=Owner.HPA, minimum=2, maximum=10, uid="u1", **others):
    return TargetSnapshot(
        target=WEB,
        target_uid="t1",
        replicas=2,
        ready=2,
        owner=owner,
        owner_ref=WEB,
        owner_uid=uid,
        owner_resource_version="1",
        bounds=Bounds(minimum, maximum),
        annotation=None,
        **others,
    )


BASELINE, RAISED = Bounds(2, 10), Bounds(20, 20)


def entry(owner=Owner.HPA, baseline=BASELINE, written=(RAISED,), uid="u1", confirmed=True):
    return LedgerEntry(
        tier="web",
        target=WEB,
        owner=owner,
        owner_ref=WEB,
        owner_uid=uid,
        baseline=baseline,
        written=tuple(written),
        campaigns=("sale",),
        epoch=1,
        raised_at=AT,
        changed_at=AT,
        peak=20,
        expires=AT,
        confirmed=confirmed,
    )


def hpa(name="web", target=WEB, conditions=(), **metadata):
    return {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": name, **metadata},
        "spec": {"scaleTargetRef": {"apiVersion": target.api_version, "kind": target.kind, "name": target.name}},
        "status": {"conditions": list(conditions)},
    }


def scaled_object(name="web-so", reference=None, **metadata):
    return {
        "apiVersion": "keda.sh/v1alpha1",
        "kind": "ScaledObject",
        "metadata": {"name": name, **metadata},
        "spec": {"scaleTargetRef": reference or {"name": "web"}},
    }
