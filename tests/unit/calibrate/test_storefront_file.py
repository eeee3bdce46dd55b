"""Editing a Storefront's file in place: one value moves, and nothing else."""

from pathlib import Path

import pytest
import yaml

from forerun.calibrate.storefront_file import EditError, with_capacity

SAMPLE = Path(__file__).resolve().parents[3] / "manifests" / "samples" / "30-storefront.yaml"

BLOCK = """# the shop's
kind: Storefront
metadata:
  name: main   # the only one
spec:
  tiers:
  - name: cache      # first
    minReplicas: 2
  # after it
  - role: Recommender
    name: recommender
    capacityPerReplica: 900   # measured in May
    maxReplicas: 60
"""


def tiers(text: str) -> dict[str, dict]:
    documents = [document for document in yaml.safe_load_all(text) if document and document["kind"] == "Storefront"]
    return {tier["name"]: tier for tier in documents[0]["spec"]["tiers"]}


def test_a_value_is_replaced_and_every_other_character_stays() -> None:
    text = with_capacity(BLOCK, "recommender", "123.4")
    assert text == BLOCK.replace("capacityPerReplica: 900 ", 'capacityPerReplica: "123.4" ')


def test_a_missing_value_gets_a_line_of_its_own() -> None:
    text = with_capacity(BLOCK, "cache", "5")
    assert text == BLOCK.replace("# first\n", '# first\n    capacityPerReplica: "5"\n')


@pytest.mark.parametrize("end", ["", "\n"])
def test_in_flow_style_and_at_the_end_of_the_file(end: str) -> None:
    flow = "{kind: Storefront, spec: {tiers: [{name: cache, minReplicas: 2}]}}" + end
    assert tiers(with_capacity(flow, "cache", "7")) == {
        "cache": {"name": "cache", "minReplicas": 2, "capacityPerReplica": "7"}
    }
    block = "kind: Storefront\nspec:\n  tiers:\n  - name: cache" + end
    assert tiers(with_capacity(block, "cache", "7")) == {"cache": {"name": "cache", "capacityPerReplica": "7"}}


def test_the_sample_of_the_project() -> None:
    before = SAMPLE.read_text(encoding="utf-8")
    for tier, old in tiers(before).items():
        after = with_capacity(before, tier, "77")
        assert tiers(after) == {**tiers(before), tier: {**old, "capacityPerReplica": "77"}}
        assert [line for line in after.splitlines() if "#" in line] or "#" not in before


@pytest.mark.parametrize(
    ("text", "tier", "name", "words"),
    [
        (BLOCK, "web", None, "it has cache, recommender"),
        (BLOCK, "cache", "other", "no Storefront called other"),
        ("kind: Campaign", "cache", None, "no Storefront"),
        (BLOCK + "---\n" + BLOCK, "cache", None, "several Storefronts"),
        ("kind: Storefront", "cache", None, "it has none"),
        ("kind: [", "cache", None, "not YAML"),
        ("kind: Storefront\nspec: {tiers: [{name: a, capacityPerReplica: []}]}", "a", None, "not a number"),
        ("- 1", "a", None, "no Storefront"),
        ("", "a", None, "no Storefront"),
    ],
)
def test_what_is_not_there_is_refused(text: str, tier: str, name: str | None, words: str) -> None:
    with pytest.raises(EditError, match=words):
        with_capacity(text, tier, "1", name)
