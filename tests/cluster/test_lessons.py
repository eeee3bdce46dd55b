"""What an occurrence taught stands in the Storefront's status, whoever watched, and survives the operator."""

import asyncio
import json
from datetime import datetime, timedelta
from functools import partial

from tests.cluster.operator_process import OperatorProcess
from tests.cluster.scenario import DEMAND, Stage, changes, scenario, soon
from tests.cluster.shop import campaign, stamp

# a day is three minutes, four weeks of history are an hour and a half, and one of its bins is a second
COMPRESSION = 480.0
HISTORY_STEP_SECONDS = 480.0
MILLI_OF_TWICE = 693  # demand stays the same here; fifteen times as much is declared


class Rehearsal(OperatorProcess):
    """The operator in compressed time, so that the history shows a window of seconds."""

    def __init__(self, stage: Stage, identity: str) -> None:
        world = stage.world
        super().__init__(world.plane.work_folder, f"{world.run}-{identity}", stage.namespace, [stage.namespace])
        self._settings |= {
            "FORERUN_TIME_COMPRESSION": str(COMPRESSION),
            "FORERUN_HISTORY_STEP_SECONDS": str(HISTORY_STEP_SECONDS),
            "FORERUN_HISTORY_REFRESH_SECONDS": "5",  # the first minute of a Prometheus may be too little to learn from
        }

    def learnt(self) -> list[str]:
        """The campaigns that its log says were learnt from, one after the other."""
        lines = [json.loads(line) for line in self.log.read_text().splitlines() if line.startswith("{")]
        return [line["campaign"] for line in lines if line.get("event") == "learnt"]


@partial(scenario, own_operator=True)
async def test_lessons_survive(stage: Stage) -> None:
    """One occurrence under the operator's eyes, one that ends while it is dead; then a Campaign and a spec go wrong."""
    first, second = Rehearsal(stage, "teacher"), Rehearsal(stage, "pupil")
    try:
        await first.start()
        await stage.small_shop("main")
        start, end = soon(12), soon(32)
        await stage.create(campaign("seen", "main", start, end))
        seen = await stage.until(lambda: lesson(stage, "seen"), "what was seen is learnt")
        assert (seen["type"], seen["start"], seen["end"]) == ("FlashSale", stamp(start), stamp(end))
        assert seen["expected"] == {"peak": "600"}
        assert DEMAND / 2 < float(seen["usual"]) < 2 * DEMAND
        measured = [milli for milli in seen["upliftMilli"] if milli != -32768]
        assert measured
        assert sum(abs(milli) <= MILLI_OF_TWICE for milli in measured) > 0.8 * len(measured), measured
        assert first.learnt() == ["seen"]

        unseen_end = soon(24)
        await stage.create(campaign("unseen", "main", soon(10), unseen_end))
        await stage.until_phase("unseen", "Live")
        await first.kill()
        assert lesson(stage, "unseen") is None
        await until(unseen_end + timedelta(seconds=10))  # the tail is over as well
        await second.start()
        await stage.until(lambda: lesson(stage, "unseen"), "what nobody watched is learnt")
        assert lesson(stage, "seen") == seen
        assert second.learnt() == ["unseen"]  # what was known was not asked for again
        summary = stage.status("main", "Storefront")["learnt"]["summary"]
        assert [(row["type"], row["occurrences"]) for row in summary] == [("FlashSale", 2)]
        code, said = await stage.forerun("why", "unseen")
        assert code == 0, said
        assert "learnt from 2 earlier occurrences of FlashSale" in said

        await stage.delete("Campaign", "seen")
        await stage.until(lambda: not stage.exists("Campaign", "seen"), "the Campaign is gone")
        # the API server takes a circle, the operator does not
        tiers = [{**stage.object("Storefront", "main")["spec"]["tiers"][0], "dependsOn": ["other"]}]
        tiers += [{**tiers[0], "name": "other", "dependsOn": ["web"]}]
        tiers[1]["targetRef"] = {**tiers[0]["targetRef"], "name": "another"}
        await stage.patch("Storefront", "main", {"spec": {"tiers": tiers}})
        refused = partial(stage.condition, "main", "Accepted", "Storefront")
        await stage.until(lambda: refused().get("status") == "False", "the spec is refused")
        written = changes(names(raw.get("status") or {}) for raw in stage.history("Storefront", "main"))
        assert written == [[], ["seen"], ["unseen", "seen"]]
        assert second.learnt() == ["unseen"]
    finally:
        for operator in (first, second):
            await operator.kill()


def names(status: dict) -> list[str]:
    """The campaigns whose occurrences the status has, as they stand there."""
    return [entry["campaign"] for entry in (status.get("learnt") or {}).get("occurrences") or ()]


def lesson(stage: Stage, name: str) -> dict | None:
    """What was learnt from a campaign's one occurrence, as it is stored."""
    entries = (stage.status("main", "Storefront").get("learnt") or {}).get("occurrences") or ()
    found = [entry for entry in entries if entry["campaign"] == name]
    assert len(found) <= 1, found
    return found[0] if found else None


async def until(at: datetime) -> None:
    await asyncio.sleep(max(0.0, (at - datetime.now(at.tzinfo)).total_seconds()))
