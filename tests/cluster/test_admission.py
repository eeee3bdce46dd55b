"""Bad input: refused by the API server at once, or by the operator with the field named; by `forerun plan` alike."""

import copy
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner
from tests.cluster.observer import Raw, Refused
from tests.cluster.scenario import Stage, scenario, soon
from tests.cluster.shop import campaign, storefront, tier

from forerun.cli.main import main
from forerun.sandbox.commands import CommandError

REPOSITORY = Path(__file__).resolve().parents[2]
SHARED = REPOSITORY.parent / "shared" / "cases" / "refused.yaml"
OWN = REPOSITORY / "tests" / "unit" / "api" / "cases" / "refused.yaml"


def campaign_with(**spec: Any) -> Raw:
    return campaign("case", "main", soon(86400), soon(90000), **spec)


def storefront_with(*tiers: Raw, **demand: Any) -> Raw:
    made = storefront("case", "default", *tiers)
    made["spec"]["demand"] |= demand
    return made


def schedule(**fields: Any) -> Raw:
    return campaign_with(schedule={"timeZone": "Europe/Warsaw", "start": "2027-03-01T08:00:00", **fields})


MORE = [  # (id, field, object)
    ("overlong", "recurrence", schedule(duration="1h", recurrence="FREQ=DAILY;INTERVAL=" + "9" * 3000)),
    ("for-ever-and-never", "recurrence", schedule(duration="1h", recurrence="FREQ=YEARLY;BYWEEKNO=53;BYMONTH=6")),
    ("two-rules", "recurrence", schedule(duration="1h", recurrence="FREQ=DAILY\nFREQ=WEEKLY")),
    ("neither-end-nor-duration", "schedule", schedule()),
    ("zone-is-a-path", "timeZone", schedule(duration="1h", timeZone="../../etc/localtime")),
    ("february-30", "start", schedule(duration="1h", start="2027-02-30T08:00:00")),
    ("infinite-peak", "peak", campaign_with(expected={"peak": "1e400"})),
    ("nan-multiplier", "multiplier", campaign_with(expected={"multiplier": "NaN"})),
    ("negative-audience", "audience", campaign_with(expected={"audience": -1})),
    ("negative-hold", "holdFor", campaign_with(release={"holdFor": "-5m"})),
    ("zero-step", "maxStepPercent", campaign_with(release={"maxStepPercent": 0})),
    ("unknown-overlap", "overlap", campaign_with(overlap="Both")),
    ("other-namespace", "storefrontRef", campaign_with(storefrontRef={"name": "../main"})),
    ("no-query", "query", storefront_with(tier("web", "web"), query="")),
    ("negative-capacity", "capacityPerReplica", storefront_with(tier("web", "web", capacityPerReplica="-1"))),
    ("absurd-maximum", "maxReplicas", storefront_with(tier("web", "web", maxReplicas=10**9))),
    ("depends-on-itself", "dependsOn", storefront_with(tier("web", "web", dependsOn=["web"]))),
    ("nameless-target", "targetRef", storefront_with(tier("web", ""))),
    ("lead-time-of-years", "leadTime", storefront_with(tier("web", "web", leadTime="99999h"))),
]


def cases_of(path: Path) -> dict[str, tuple[str, Raw]]:
    return {case["id"]: (case["field"], case["object"]) for case in yaml.safe_load(path.read_text(encoding="utf-8"))}


CASES = {**cases_of(OWN), **{name: (field, obj) for name, field, obj in MORE}}


async def refusals(stage: Stage, cases: dict[str, tuple[str, Raw]]) -> dict[str, str]:
    """What the API server, or else the operator, says to each object; "" where it is accepted."""
    said: dict[str, str] = {}
    pending = {}
    for name, (_, case) in cases.items():
        obj = copy.deepcopy(case)
        obj["metadata"] = {"name": name.lower(), "namespace": stage.namespace}
        try:
            created = await stage.world.api.create(obj)
        except Refused as refused:
            said[name] = str(refused)
        else:
            pending[name] = (created["kind"], created["metadata"]["name"])
    for name, (kind, own) in pending.items():

        def judged(own: str = own, kind: str = kind) -> Raw:
            return stage.condition(own, "Accepted", kind)

        await stage.until(judged, f"{kind} {own} is judged")
        found = judged()
        said[name] = f"{found['reason']}: {found['message']}" if found["status"] == "False" else ""
    return said


@scenario
async def test_bad_objects_are_refused_with_the_field_named(stage: Stage) -> None:
    said = await refusals(stage, CASES)
    wrong = {name: (field, said[name]) for name, (field, _) in CASES.items() if field not in said[name]}
    assert not wrong
    assert stage.world.operator.runs


@pytest.mark.skipif(not SHARED.exists(), reason="there is no ../shared here; its cases are among ours")
async def test_shared_cases_are_all_among_ours() -> None:
    shared = cases_of(SHARED)
    assert {name: CASES.get(name) for name in shared} == shared


@scenario
async def test_refused_object_is_accepted_when_it_is_mended(stage: Stage) -> None:
    """A rule that CEL cannot judge: the operator's word, within a moment, and taken back."""
    never = campaign_with(
        schedule={
            "timeZone": "Europe/Warsaw",
            "start": "2027-03-01T08:00:00",
            "duration": "1h",
            "recurrence": "FREQ=DAILY;BYMONTH=2;BYMONTHDAY=30",
        }
    )
    await stage.small_shop("main")
    await stage.create(never)
    await stage.until(lambda: stage.condition("case", "Accepted").get("status") == "False", "refused")
    assert "spec.schedule.recurrence" in stage.condition("case", "Accepted")["message"]
    assert stage.phase("case") == "Rejected"
    await stage.patch("Campaign", "case", {"spec": {"schedule": {"recurrence": "FREQ=DAILY"}}})
    await stage.until(lambda: stage.condition("case", "Accepted").get("status") == "True", "accepted")
    await stage.until(lambda: stage.condition("case", "Planned").get("status") == "True", "planned")
    await stage.patch("Campaign", "case", {"spec": {"schedule": {"recurrence": "FREQ=DAILY;BYMONTH=2;BYMONTHDAY=30"}}})
    await stage.until(lambda: stage.phase("case") == "Rejected", "refused again")


@pytest.mark.parametrize("name", CASES)
def test_plan_refuses_alike(name: str, tmp_path: Path) -> None:
    field, obj = CASES[name]
    path = tmp_path / "bad.yaml"
    path.write_text(yaml.safe_dump(obj), encoding="utf-8")
    done = CliRunner().invoke(main, ["plan", "-f", str(path), "--now", "2027-01-01T00:00:00Z"])
    assert done.exit_code == 2
    (line,) = done.stderr.splitlines()
    assert field in line
    assert str(path) in line
    assert not done.stdout


def test_plan_refuses_as_a_process_of_its_own(tmp_path: Path) -> None:
    field, obj = CASES["R1"]
    path = tmp_path / "bad.yaml"
    path.write_text(yaml.safe_dump(obj), encoding="utf-8")
    command = [sys.executable, "-m", "forerun.cli.main", "plan", "-f", str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert field in line


async def test_unknown_fields(kubectl, namespace: str) -> None:
    """kubectl's strict validation (its default) refuses them; without it the server prunes what it does not know."""
    unknown = campaign_with(reach="1000")
    unknown["metadata"]["namespace"] = namespace
    with pytest.raises(CommandError) as refused:
        await kubectl("create", "-f", "-", text=json.dumps(unknown))
    assert 'unknown field "spec.reach"' in refused.value.stderr
    await kubectl("create", "--validate=false", "-f", "-", text=json.dumps(unknown))
    stored = json.loads(await kubectl("get", "camp", "case", "-n", namespace, "-o", "json"))
    assert "reach" not in stored["spec"]
    assert stored["spec"]["type"] == "FlashSale"


async def test_samples_are_applied(kubectl) -> None:
    """All of manifests/samples, as a person applies them; taken away again."""
    samples = str(REPOSITORY / "manifests" / "samples")
    objects = [
        obj
        for path in sorted((REPOSITORY / "manifests" / "samples").glob("*.yaml"))
        for obj in yaml.safe_load_all(path.read_text(encoding="utf-8"))
    ]
    try:
        said = await kubectl("apply", "-f", samples)
        assert len(said.splitlines()) == len(objects)
        assert "configured" not in said
    finally:
        await kubectl("delete", "-f", samples, "--ignore-not-found", "--wait=false")
