"""The approval screen's text."""

from dataclasses import replace

import pytest

from slipway.approval.facts import Facts, code, markdown
from slipway.plan import PinnedImage, ReleasePlan, Revision
from slipway.request.contents import Contents
from tests.unit.releases import ARTEFACT

PLAN = ReleasePlan(
    prefix="iris-model",
    revision=Revision("b", "k", "v|1", "etag", 1, "2026-05-01T12:00:00+00:00"),
    revision_id="r" * 32,
    digest="d" * 64,
    sequence="2026-05-01T12:00:00+00:00",
    training_job_name="mlops-iris-model-1",
    request_uri="s3://b/r",
    model_package_group="mlops-iris-model",
    endpoint_prefix="iris-model",
    stacks={},
    endpoints={},
)
URL = "http://127.0.0.1:8080/dags/iris-model/runs/s3__1"


def facts(**changed) -> Facts:
    given = {
        "evaluation": {
            "metrics": {"validation:merror": 0.04, "train:merror": 0.0},
            "gates": [
                {"metric": "validation:merror", "value": 0.04, "minimum": None, "maximum": 0.1, "passed": True},
                {"metric": "validation:auc", "value": None, "minimum": 0.5, "maximum": 1.0, "passed": False},
            ],
            "live": {"model_package_arn": "arn:live", "metrics": {"validation:merror": 0.06}},
        },
        "registration": {"model_package_arn": "arn:new"},
        "test": {
            "endpoint_name": "iris-model-development",
            "rows": 50,
            "correct": 48,
            "accuracy": 0.96,
            "accuracy_minimum": 0.9,
            "latency_ms": {"p50": 2.0, "p99": 9.5},
            "variants": {"model-a": 50},
        },
        **changed,
    }
    return Facts(plan=PLAN, run_url=URL, uploader="[dave](http://evil)", **given)


def test_the_bytes_that_are_approved_are_shown():
    text = markdown(facts(artefact=ARTEFACT))
    for said in (f"`{ARTEFACT.uri}`", "1024 bytes", "`v7`", f"`{ARTEFACT.etag}`", f"`{ARTEFACT.sha256}`"):
        assert said in text
    assert "not on record, so it cannot be deployed" in markdown(facts())


def test_the_image_is_shown_with_what_it_was_built_from():
    image = f"123456789012.dkr.ecr.us-west-2.amazonaws.com/mlops-iris@sha256:{'1' * 64}"
    pinned = PinnedImage(image, "src-12", "s3://b/image_builds/iris-model/image.zip version v7")
    text = markdown(replace(facts(image=image), plan=replace(PLAN, image=pinned)))
    for said in (f"| Image | `{image}` |", "| Image's tag | `src-12` |", f"| Image built from | `{pinned.source}` |"):
        assert said in text
    # The package has another image than the plan: only that one is what would serve.
    text = markdown(replace(facts(image="another"), plan=replace(PLAN, image=pinned)))
    assert "| Image | `another` |" in text
    assert "src-12" not in text


def test_the_same_zip_with_another_image_is_a_change():
    new, live = (Contents("d" * 64, settings={"Image": image}) for image in ("r@sha256:1", "r@sha256:2"))
    evaluation = {"metrics": {}, "live": {"model_package_arn": "arn:x/7"}}
    assert "`r@sha256:1` | `r@sha256:2`" in markdown(facts(evaluation=evaluation, contents=new, live_contents=live))
    same = markdown(facts(evaluation=evaluation, contents=new, live_contents=new))
    assert "the same zip as what is live, with the same image" in same


def test_metrics_stand_beside_their_gate_and_the_live_model():
    text = markdown(facts())
    assert "| `validation:merror` | 0.04 | ≤ 0.1 ✓ | 0.06 |" in text
    assert "| `train:merror` | 0 | - | - |" in text
    assert "| `validation:auc` | - | ≥ 0.5 and ≤ 1 ✗ | - |" in text
    assert "Compared with `arn:live`." in text


def test_a_metric_that_is_no_number_says_so():
    text = markdown(facts(evaluation={"metrics": {"auc": "NaN"}, "live": {"metrics": {"auc": "-Infinity"}}}))
    assert "| `auc` | not a number | - | -infinite |" in text


def test_the_release_its_test_and_its_pages_are_named():
    text = markdown(facts())
    for said in ("`arn:new`", "d" * 64, "48 of 50", "0.96 (gate ≥ 0.9)", "p50 2 ms, p99 9.5 ms", "`model-a` 50"):
        assert said in text
    assert f"[The release]({URL})" in text
    assert f"[Test log]({URL}/tasks/test_dev)" in text


def test_a_first_release_has_nothing_to_be_compared_with():
    text = markdown(facts(evaluation={"metrics": {"a": 1.0}, "gates": [], "live": None}, test={}))
    assert "production has no model" in text


def test_what_comes_from_outside_is_shown_and_never_rendered():
    text = markdown(facts())
    assert "`[dave](http://evil)`" in text
    assert "`v/1`" in text
    assert code("a`b\n|c") == "`a'b /c`"


def test_a_regression_shows_its_distance_instead_of_right_answers():
    text = markdown(facts(test={"rows": 40, "rmse": 1.25, "rmse_maximum": 2.0}))
    assert "| RMSE | 1.25 (gate ≤ 2) |" in text
    assert "Correct predictions" not in text


def test_a_stress_test_is_shown_with_its_limits_and_its_report():
    limits = [
        {"name": "p99_ms", "allowed": 250, "measured": 12.5, "passed": True, "phase": "10 x 1000"},
        {"name": "min_accuracy", "allowed": 0.9, "measured": 0.96, "passed": True, "phase": "100 x 10000"},
    ]
    stress = {
        "passed": True,
        "limits": limits,
        "sent": 11_000,
        "answered": 11_000,
        "p99_ms": 11.0,
        "report": "s3://b/r",
    }
    text = markdown(facts(stress=stress))
    assert "✓ Kept its limits: 11000 of 11000 requests answered, p99 11 ms." in text
    assert "| p99_ms | 250 | 12.5 ✓ | 10 x 1000 |" in text
    assert f"[Stress report]({URL}/tasks/stress_dev), `s3://b/r`" in text
    assert "Stress test" not in markdown(facts())
    assert "No result" in markdown(facts(stress_wanted=True))


def test_a_comparison_with_the_live_model_is_shown():
    compared = {
        "metric": "accuracy",
        "rows": 200,
        "candidate": 0.96,
        "candidate_p99_ms": 8.0,
        "live": 0.94,
        "live_p99_ms": 9.0,
        "rule": "accuracy not worse by more than 0.02",
        "passed": True,
    }
    text = markdown(facts(test={"champion": compared, "golden_rows": 12}))
    assert "| accuracy | 0.96 | 0.94 |" in text
    assert "| p99 latency, ms | 8 | 9 |" in text
    assert "On the same 200 rows. Rule: accuracy not worse by more than 0.02 ✓" in text
    assert "| Golden set | all 12 predictions correct |" in text
    failed = markdown(facts(test={"champion": compared | {"live": None, "live_p99_ms": None}}))
    assert "| accuracy | 0.96 | - |" in failed and "The live model failed" in failed
    assert "Compared with the live model" not in markdown(facts(test={"champion": None}))


@pytest.mark.parametrize(
    ("fix", "after"),
    [
        ("", "approving puts it right."),
        ("aws sagemaker add-tags", "`deploy_prd` stops until somebody has run `aws sagemaker add-tags`."),
    ],
)
def test_how_production_differs_from_its_stack_is_shown(fix, after):
    differs = {"what": "the alarm a was deleted", "fix": fix}
    text = markdown(facts(test={"production_drift": [differs]}))
    assert f"Production differs from its stack: `the alarm a was deleted`; {after}" in text
    assert "differs from its stack" not in markdown(facts(test={"production_drift": []}))
