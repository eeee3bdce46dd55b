"""Field ownership is noted when it is taken and handed back afterwards."""

import json

from forerun.actuators.ownership import OWNERS_ANNOTATION, former_owners, without_us
from forerun.domain.fields import FloorField
from forerun.domain.ledger import Owner


def managed(manager, *fields, operation="Apply", subresource=None, **others):
    spec = {f"f:{name}": {} for name in fields}
    made = {"manager": manager, "operation": operation, "apiVersion": "autoscaling/v2", "fieldsType": "FieldsV1"}
    made["fieldsV1"] = {"f:spec": spec, **others}
    return made | ({"subresource": subresource} if subresource else {})


def raw(*fields, note=None):
    annotations = {} if note is None else {OWNERS_ANNOTATION: note}
    return {"metadata": {"managedFields": list(fields), "annotations": annotations}}


def test_managers_are_noted_by_field():
    note = former_owners(Owner.HPA, raw(managed("argo", "minReplicas", "metrics"), managed("me", "maxReplicas")))
    assert json.loads(note) == {
        "minReplicas": [["argo", "Apply", "", "autoscaling/v2"]],
        "maxReplicas": [["me", "Apply", "", "autoscaling/v2"]],
    }


def test_nothing_is_noted_twice_and_a_later_field_is_added():
    first = former_owners(Owner.HPA, raw(managed("argo", "minReplicas")))
    assert former_owners(Owner.HPA, raw(managed("forerun", "minReplicas"), note=first)) is None
    later = raw(managed("forerun", "minReplicas"), managed("argo", "maxReplicas"), note=first)
    assert set(json.loads(former_owners(Owner.HPA, later))) == {"minReplicas", "maxReplicas"}


def test_our_entries_go_and_the_fields_go_back():
    before = [
        managed("argo", "minReplicas", "maxReplicas", "metrics"),
        managed("kcm", operation="Update", subresource="status"),
    ]
    note = former_owners(Owner.HPA, raw(*before))
    during = raw(
        managed("argo", "metrics"),
        before[1],
        managed("forerun", "minReplicas", "maxReplicas", operation="Update"),
        note=note,
    )
    assert without_us(during) == before


def test_a_manager_whose_entry_has_vanished_gets_a_new_one():
    before = managed("argo", "minReplicas")
    during = raw(managed("forerun", "minReplicas", operation="Update"), note=former_owners(Owner.HPA, raw(before)))
    assert without_us(during) == [before]


def test_a_field_that_somebody_took_meanwhile_stays_theirs():
    note = former_owners(Owner.HPA, raw(managed("argo", "minReplicas")))
    during = raw(managed("forerun", "maxReplicas"), managed("admin", "minReplicas", operation="Update"), note=note)
    assert without_us(during) == [managed("admin", "minReplicas", operation="Update")]


def test_the_scale_subresource_is_an_entry_of_its_own():
    before = managed("hpa", "replicas", operation="Update", subresource="scale")
    note = former_owners(Owner.SCALE, raw(before))
    during = raw(managed("forerun", "replicas", operation="Update", subresource="scale"), note=note)
    assert without_us(during) == [before]


def test_without_entries_of_ours_there_is_nothing_to_do():
    assert without_us(raw(managed("argo", "minReplicas"))) is None
    assert without_us({"metadata": {}}) is None


def test_the_last_entry_is_replaced_by_none_not_by_as_before():
    assert without_us(raw(managed("forerun", "minReplicas"))) == [{}]


def test_a_garbled_note_is_no_note():
    for note in ("{", "[]", '{"minReplicas": 3}', '{"minReplicas": [["a"]]}', "null"):
        assert without_us(raw(managed("argo"), managed("forerun", "minReplicas"), note=note)) == [managed("argo")]


def test_a_field_that_nobody_manages_any_more_goes_back_too():
    before = managed("argo", "replicas")
    note = former_owners(Owner.SCALE, raw(before))
    assert without_us(raw(managed("argo"), managed("forerun"), note=note)) == [before]


POINTER = FloorField("/spec/predictor/minReplicas", "/spec/predictor/maxReplicas")
GROUP = FloorField("/spec/workerGroupSpecs/[groupName=gpu]/minReplicas")
KEPT = {"f:model": {}}


def predictor(manager, *fields, operation="Apply", **others):
    inner = {f"f:{name}": {} for name in fields} | others
    made = {"manager": manager, "operation": operation, "apiVersion": "serving.kserve.io/v1beta1"}
    return made | {"fieldsType": "FieldsV1", "fieldsV1": {"f:spec": {"f:predictor": inner}}}


def test_a_field_deeper_in_the_object_is_noted_by_its_path_and_goes_back():
    before = predictor("argo", "minReplicas", "maxReplicas", **KEPT)
    note = former_owners(Owner.FIELD, raw(before), POINTER)
    manager = [["argo", "Apply", "", "serving.kserve.io/v1beta1"]]
    assert json.loads(note) == {
        '["f:spec","f:predictor","f:minReplicas"]': manager,
        '["f:spec","f:predictor","f:maxReplicas"]': manager,
    }
    ours = predictor("forerun", "minReplicas", "maxReplicas", operation="Update")
    assert without_us(raw(predictor("argo", **KEPT), ours, note=note)) == [before]


def test_a_list_that_is_owned_whole_goes_back_whole():
    groups = {"workerGroupSpecs": [{"groupName": "gpu", "minReplicas": 2}]}
    before = managed("argo", "workerGroupSpecs", "rayVersion")
    note = former_owners(Owner.FIELD, raw(before) | {"spec": groups}, GROUP)
    assert list(json.loads(note)) == ['["f:spec","f:workerGroupSpecs"]']
    ours = managed("forerun", "workerGroupSpecs", operation="Update")
    assert without_us(raw(managed("argo", "rayVersion"), ours, note=note)) == [
        managed("argo", "rayVersion", "workerGroupSpecs")
    ]


def test_a_garbled_path_in_the_note_changes_nothing():
    theirs = managed("argo", "minReplicas")
    for name in ("[", "[1]", "[]", '["f:spec"]'):
        note = json.dumps({name: [["x", "Apply", "", "v1"]]})
        assert without_us(raw(theirs, managed("forerun", "maxReplicas"), note=note))[0]["manager"] == "argo"
