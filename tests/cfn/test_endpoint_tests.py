"""EndpointTestOperator against endpoints that serve: the live model on the same rows, and the golden set."""

import pytest

from slipway.errors import EndpointTestFailed, GateFailed
from slipway.model.config import ModelConfig
from slipway.quality.endpoint import EndpointTestOperator
from slipway.registry.hook import ModelRegistryHook
from tests.cfn.releases import DEV, PRD, Model
from tests.local_aws.sagemaker_cases import BUCKET, ROWS, csv, model_data
from tests.unit.task_runs import context, run_task

pytestmark = pytest.mark.local_aws


@pytest.fixture
def model(aws) -> Model:
    """A model whose held-out rows the first of the trained models predicts correctly."""
    made = Model(aws)
    held_out = f"{made.prefix}/input/validation/rows.csv"
    aws.client("s3").put_object(Bucket=BUCKET, Key=held_out, Body=csv(seed=9).encode())
    change(made, test={"data": f"s3://{BUCKET}/{held_out}", "accuracy_minimum": 0.0, "max_rows": 30})
    return made


def change(model: Model, **sections) -> None:
    model.config = ModelConfig.model_validate(model.config.model_dump() | sections)


def golden(aws, model: Model, *rows: str) -> None:
    key = f"{model.prefix}/input/golden.csv"
    aws.client("s3").put_object(Bucket=BUCKET, Key=key, Body="\n".join(rows).encode())
    change(model, golden={"data": f"s3://{BUCKET}/{key}"})


def tried(release, environment=DEV) -> dict:
    """Deploy a release and test its endpoint."""
    task = f"deploy_{environment.short}"
    xcoms = {
        "process_request": release.plan.to_xcom(),
        "register": {"model_package_arn": release.package_arn},
        task: release.deploy(environment),
    }
    operator = EndpointTestOperator(
        task_id=f"test_{environment.short}", model=release.model.config, environment=environment, do_xcom_push=False
    )
    return run_task(operator, context(xcoms))


def kept(release) -> dict:
    package = ModelRegistryHook(aws_conn_id=None).describe_model_package(release.package_arn)
    properties = package["CustomerMetadataProperties"]
    return {key: text for key, text in properties.items() if key.startswith("test/")}


def asked(aws, release) -> int:
    """How many rows production was sent."""
    name = release.plan.endpoint(PRD)
    return sum(name in str(call["resource"]) for call in aws.ledger(operation="InvokeEndpoint"))


def test_a_model_has_to_stand_up_to_the_live_one(aws, model):
    change(model, champion={"not_worse_than": 0.05})
    good = model.release(model_data(aws), ABTests=False)
    assert tried(good)["champion"] is None
    assert (asked(aws, good), kept(good)) == (0, {})
    good.approve().deploy(PRD)

    bad = model.release(model_data(aws, label_shift=1), ABTests=False)
    with pytest.raises(GateFailed, match=r"same 30 rows its accuracy of 0 is 1 worse, the live one's is 1"):
        tried(bad)
    assert asked(aws, bad) == 30
    assert kept(bad)["test/live-accuracy"] == "1" and kept(bad)["test/champion-rule"].endswith("broken")
    assert ModelRegistryHook(aws_conn_id=None).describe_model_package(bad.package_arn)["ModelApprovalStatus"] == (
        "PendingManualApproval"
    )


def test_a_better_model_is_shown_beside_the_live_one(aws, model):
    change(model, champion={"better_by_at_least": 0.5})
    model.release(model_data(aws, label_shift=1), ABTests=False).approve().deploy(PRD)
    better = model.release(model_data(aws), ABTests=False)
    found = tried(better)["champion"]
    assert (found["candidate"], found["live"], found["passed"]) == (1.0, 0.0, True)
    assert kept(better)["test/accuracy"] == "1"


def test_golden_rows_are_tried_in_development_and_in_production(aws, model):
    golden(aws, model, f"0,{ROWS[0]}", f"2,{ROWS[2]}")
    first = model.release(model_data(aws), InitialVariantWeight=0.1).approve()
    assert tried(first)["golden_rows"] == 2
    assert tried(first, PRD)["golden_rows"] == 2
    # In production the test asks the model on trial, not the live one.
    golden(aws, model, f"1,{ROWS[0]}", f"0,{ROWS[2]}")
    second = model.release(model_data(aws, label_shift=1), InitialVariantWeight=0.1).approve()
    assert tried(second, PRD)["golden_rows"] == 2
    golden(aws, model, f"1,{ROWS[0]}", f"1,{ROWS[2]}")
    with pytest.raises(EndpointTestFailed, match=r"1 of 2 rows of the golden set wrongly.*row 2: expected '1', got '0"):
        tried(second)
