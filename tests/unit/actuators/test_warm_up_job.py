"""The Job that a CronJob's template becomes."""

from datetime import UTC, datetime

from forerun.actuators.warm_up import KEYS_ANNOTATION, MOST_KEY_BYTES, as_lines, job_of, seen
from forerun.domain.campaign import Key
from forerun.domain.storefront import Storefront
from forerun.domain.warm_up import WarmUpRecord

NOW = datetime(2026, 11, 27, 7, 0, tzinfo=UTC)
SHOP = Storefront(Key("shop", "main"), "uid-sf", 1, "default", "q", "requests", ())
RECORD = WarmUpRecord("cache", "drop", NOW, NOW, job="main-cache-warm-0123456789")


def cron_job(**spec):
    pod = {"metadata": {"labels": {"app": "warm"}}, "spec": {"restartPolicy": "Never", "containers": [{"name": "w"}]}}
    return {"spec": {"suspend": True, "jobTemplate": {"spec": {"template": pod, **spec}}}}


def test_the_job_is_owned_bounded_and_named():
    job = job_of(cron_job(), SHOP, RECORD, 600.0, "")
    assert (job["metadata"]["name"], job["metadata"]["namespace"]) == ("main-cache-warm-0123456789", "shop")
    assert job["metadata"]["ownerReferences"] == [
        {"apiVersion": "forerun.dev/v1alpha1", "kind": "Storefront", "name": "main", "uid": "uid-sf"}
    ]
    assert (job["spec"]["activeDeadlineSeconds"], job["spec"]["ttlSecondsAfterFinished"]) == (600, 3600)
    assert job["metadata"]["labels"] == {"forerun.dev/tier": "cache", "forerun.dev/storefront": "main"}


def test_the_template_s_own_shorter_bounds_stay_and_it_is_not_changed():
    template = cron_job(activeDeadlineSeconds=60, ttlSecondsAfterFinished=5, suspend=True)
    spec = job_of(template, SHOP, RECORD, 600.0, "/a\n")["spec"]
    assert (spec["activeDeadlineSeconds"], spec["ttlSecondsAfterFinished"]) == (60, 5)
    assert "suspend" not in spec
    assert "annotations" not in template["spec"]["jobTemplate"]["spec"]["template"]["metadata"]


def test_keys_come_as_a_file_of_the_pod_s_own_annotation():
    pod = job_of(cron_job(), SHOP, RECORD, 600.0, "/a\n/b\n")["spec"]["template"]
    assert pod["metadata"]["annotations"][KEYS_ANNOTATION] == "/a\n/b\n"
    (volume,) = pod["spec"]["volumes"]
    (item,) = volume["downwardAPI"]["items"]
    assert item["fieldRef"]["fieldPath"] == "metadata.annotations['forerun.dev/keys']"
    (mount,) = pod["spec"]["containers"][0]["volumeMounts"]
    assert (mount["name"], mount["mountPath"]) == (volume["name"], "/var/run/forerun")


def test_keys_that_are_no_line_are_left_out_and_what_does_not_fit_is_cut():
    assert as_lines(["/a", "", "/b\n/c", "/ż"]) == "/a\n/ż\n"
    many = as_lines([f"/{n:098d}" for n in range(10_000)])
    assert MOST_KEY_BYTES - 100 <= len(many) <= MOST_KEY_BYTES


def test_what_a_job_s_status_says():
    def job(*conditions):
        return {"metadata": {"creationTimestamp": "2026-11-27T07:00:00Z"}, "status": {"conditions": list(conditions)}}

    def condition(kind, status="True"):
        return {"type": kind, "status": status, "lastTransitionTime": "2026-11-27T07:05:00Z"}

    assert seen(job()).ended_at is None
    assert seen(job(condition("Complete", "False"), condition("FailureTarget"))).ended_at is None
    done = seen(job(condition("SuccessCriteriaMet"), condition("Complete")))
    assert (done.ended_at, done.failed) == (datetime(2026, 11, 27, 7, 5, tzinfo=UTC), False)
    assert seen(job(condition("Failed"))).failed
