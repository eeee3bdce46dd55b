"""What the chart's roles allow, read from what it renders."""

from collections.abc import Iterable
from typing import Any

READING = {"get", "list", "watch"}
OPERATOR = "forerun"


def rules_of(objects: Iterable[dict[str, Any]], binding_kind: str) -> list[dict[str, Any]]:
    """The rules that bindings of this kind give to the operator's ServiceAccount."""
    objects = list(objects)
    roles = {(o["kind"], o["metadata"].get("namespace"), o["metadata"]["name"]): o for o in objects if "rules" in o}
    found = []
    for binding in (o for o in objects if o["kind"] == binding_kind):
        subjects = [(s["kind"], s["namespace"], s["name"]) for s in binding["subjects"]]
        assert subjects == [("ServiceAccount", "forerun-system", OPERATOR)]
        ref = binding["roleRef"]
        namespace = binding["metadata"].get("namespace") if ref["kind"] == "Role" else None
        found += roles[ref["kind"], namespace, ref["name"]]["rules"]
    return found


def test_no_rule_has_a_wildcard(helm, values_set):
    rules = [rule for o in helm.objects(**values_set) if "rules" in o for rule in o["rules"]]
    assert rules
    for rule in rules:
        assert not [word for part in rule.values() for word in part if "*" in word], rule


def test_no_rule_deletes_or_creates_what_is_not_forerun_s(helm, values_set):
    for kind in ("ClusterRoleBinding", "RoleBinding"):
        for rule in rules_of(helm.objects(**values_set), kind):
            if {"create", "delete", "deletecollection"} & set(rule["verbs"]):
                assert rule["resources"] in (["capacityplans"], ["events"], ["leases"])


def test_opted_in_namespaces_leave_no_cluster_wide_write(helm):
    objects = helm.objects(watchNamespaces=["shop", "shop-eu"])
    for rule in rules_of(objects, "ClusterRoleBinding"):
        # of what is cluster-wide itself, the status of our own two kinds is all that is written
        if rule["resources"] == ["capacitypolicies/status", "metricssources/status"]:
            assert rule["verbs"] == ["patch"]
            continue
        assert set(rule["verbs"]) <= READING, rule
    writing = {
        o["metadata"]["namespace"]
        for o in objects
        if o["kind"] == "RoleBinding" and o["metadata"]["name"].endswith("-targets")
    }
    assert writing == {"shop", "shop-eu"}


def test_same_rules_for_all_namespaces_and_for_a_list(helm):
    everywhere = rules_of(helm.objects(), "ClusterRoleBinding")
    listed = [
        o
        for o in helm.objects(watchNamespaces=["shop"])
        if o["kind"] == "Role" and o["metadata"]["namespace"] == "shop"
    ]
    assert len(listed) == 1
    assert [rule for rule in everywhere if rule in listed[0]["rules"]] == listed[0]["rules"]


def test_secrets_are_read_by_name_and_only_when_named(helm):
    def secret_rules(**values: Any) -> list[dict[str, Any]]:
        return [r for o in helm.objects(**values) for r in o.get("rules", []) if "secrets" in r["resources"]]

    assert secret_rules() == []
    (rule,) = secret_rules(metricsSecrets=["prometheus-token"])
    assert rule == {
        "apiGroups": [""],
        "resources": ["secrets"],
        "resourceNames": ["prometheus-token"],
        "verbs": ["get"],
    }
    holders = [o for o in helm.objects(metricsSecrets=["prometheus-token"]) if rule in o.get("rules", [])]
    assert [(o["kind"], o["metadata"]["namespace"]) for o in holders] == [("Role", "forerun-system")]


def test_lease_rights_are_for_the_lease_that_the_operator_uses(helm):
    values = {"fullnameOverride": "other"}
    rules = [r for o in helm.objects(**values) for r in o.get("rules", []) if "leases" in r["resources"]]
    changing = [r for r in rules if "update" in r["verbs"]]
    container = helm.one("Deployment", **values)["spec"]["template"]["spec"]["containers"][0]
    lease = next(v["value"] for v in container["env"] if v["name"] == "FORERUN_LEASE_NAME")
    assert [r["resourceNames"] for r in changing] == [[lease]]


def test_extra_target_gets_the_rules_of_a_deployment(helm):
    rules = rules_of(
        helm.objects(extraTargets=[{"apiGroup": "argoproj.io", "resource": "rollouts"}]), "ClusterRoleBinding"
    )

    def verbs(resource: str) -> list[list[str]]:
        return [r["verbs"] for r in rules if resource in r["resources"]]

    assert verbs("rollouts") == verbs("deployments")
    assert verbs("rollouts/scale") == verbs("deployments/scale")
    assert verbs("deployments")


def test_room_ahead_of_pods_is_granted_only_where_it_is_asked_for(helm):
    def making(**values: Any) -> set[str]:
        rules = rules_of(helm.objects(**values), "ClusterRoleBinding")
        return {name for rule in rules if "create" in rule["verbs"] for name in rule["resources"]}

    room = {"deployments", "daemonsets", "podtemplates", "capacitybuffers"}
    assert not making() & room
    assert making(capacityAhead={"enabled": True}) >= room
    assert not [o for o in helm.objects() if o["kind"] == "PriorityClass"]


def test_placeholders_give_way_to_every_pod(helm):
    made = helm.one("PriorityClass", capacityAhead={"enabled": True})
    assert made["value"] < 0
    assert (made["preemptionPolicy"], made["globalDefault"]) == ("Never", False)
    container = helm.one("Deployment", capacityAhead={"enabled": True})["spec"]["template"]["spec"]["containers"][0]
    told = {v["name"]: v.get("value") for v in container["env"]}
    assert told["FORERUN_PLACEHOLDER_PRIORITY_CLASS"] == made["metadata"]["name"]
    assert told["FORERUN_CAPACITY_AHEAD"] == "true"


def test_roles_for_people_are_added_to_kubernetes_own_only_when_asked(helm):
    def added(**values: Any) -> dict[str, str]:
        return {
            o["metadata"]["name"]: label.rpartition("-")[2]
            for o in helm.objects(**values)
            if o["kind"] == "ClusterRole"
            for label in o["metadata"]["labels"]
            if label.startswith("rbac.authorization.k8s.io/aggregate-to-")
        }

    assert added() == {
        "forerun-viewer": "view",
        "forerun-campaign-editor": "edit",
        "forerun-storefront-editor": "edit",
        "forerun-approver": "admin",
    }
    assert added(rbac={"aggregate": False}) == {}


def test_no_role_for_people_writes_a_ledger(helm):
    """A status is the operator's: with a forged ledger anybody could have anything given back."""
    people = [o for o in helm.objects() if o["kind"] == "ClusterRole" and o["metadata"]["name"] in PEOPLE]
    assert len(people) == len(PEOPLE)
    assert not [r for o in people for r in o["rules"] for resource in r["resources"] if "/" in resource]


PEOPLE = {"forerun-viewer", "forerun-campaign-editor", "forerun-storefront-editor", "forerun-approver"}


def test_nothing_is_bound_without_rbac_create(helm):
    kinds = {o["kind"] for o in helm.objects(rbac={"create": False})}
    assert not kinds & {"Role", "ClusterRole", "RoleBinding", "ClusterRoleBinding"}
