"""Lab 0, Lab 1 and the clean-up: an account is set up, a notebook trains and serves in it, and nothing is left."""

import json

import pytest

from tests.local_aws.server import CREDENTIALS, ROOT, LocalAws
from tools import bootstrap_stack, clean_up, labs
from tools.settings import AIRFLOW_PRINCIPAL, OPERATOR_PRINCIPAL, REGION

pytestmark = pytest.mark.local_aws
LAB = "lab1_TrainDeployTest"


@pytest.fixture(scope="module")
def aws(tmp_path_factory):
    """An account of Lab 0, where a minute lasts a second and the operator may do no more than on AWS."""
    running = LocalAws(tmp_path_factory.mktemp("labs") / "state", "--time-scale", "60", as_admin=True).start()
    try:
        assert bootstrap_stack.deploy(running.client, ROOT / "include", AIRFLOW_PRINCIPAL) == []
        bootstrap_stack.deploy_labs(running.client, OPERATOR_PRINCIPAL)
        yield running
    finally:
        running.stop()


@pytest.fixture(scope="module")
def shown(aws, tmp_path_factory):
    """What the cells of Lab 1 showed, as one text."""
    output = tmp_path_factory.mktemp("shown")
    variables = {
        "AWS_ENDPOINT_URL": aws.endpoint_url,
        "AWS_DEFAULT_REGION": REGION,
        "AWS_ACCESS_KEY_ID": CREDENTIALS.operator.access_key_id,
        "AWS_SECRET_ACCESS_KEY": CREDENTIALS.operator.secret_access_key,
        # Another machine's name is not looked up: whoever asks for it fails at once.
        "HTTPS_PROXY": "http://127.0.0.1:9",
        "NO_PROXY": "127.0.0.1",
    }
    assert labs.run(variables, output, [LAB]) == 0
    cells = json.loads((output / f"{LAB}.ipynb").read_text())["cells"]
    return "".join("".join(part.get("text", "")) for cell in cells for part in cell.get("outputs", []))


def test_lab_1_trains_deploys_tests_and_removes_its_endpoint(aws, shown):
    assert "Completed s3://" in shown and "InService" in shown
    assert "F1 0.941" in shown
    assert '"captureData"' in shown
    sagemaker = aws.client("sagemaker")
    assert sagemaker.list_endpoints()["Endpoints"] == sagemaker.list_models()["Models"] == []
    calls = aws.ledger(service="sagemaker", outcome="ok")
    me = {call["caller"].rpartition("/")[0] for call in calls if call["operation"] == "CreateTrainingJob"}
    assert me == {"arn:aws:sts::123456789012:assumed-role/slipway-labs"}


def test_the_notebooks_role_reaches_nothing_of_a_release(aws):
    operator = {
        "aws_access_key_id": CREDENTIALS.operator.access_key_id,
        "aws_secret_access_key": CREDENTIALS.operator.secret_access_key,
    }
    role = "arn:aws:iam::123456789012:role/slipway-labs"
    key = aws.client("sts", **operator).assume_role(RoleArn=role, RoleSessionName="me")["Credentials"]
    mine = {
        "aws_access_key_id": key["AccessKeyId"],
        "aws_secret_access_key": key["SecretAccessKey"],
        "aws_session_token": key["SessionToken"],
    }
    sagemaker = aws.client("sagemaker", **mine)
    with pytest.raises(sagemaker.exceptions.ClientError, match="not authorized to perform: sagemaker:DeleteEndpoint"):
        sagemaker.delete_endpoint(EndpointName="iris-model-production")
    s3 = aws.client("s3", **mine)
    with pytest.raises(s3.exceptions.ClientError, match="AccessDenied"):
        s3.put_object(Bucket="mlops-us-west-2-123456789012", Key="releases/iris-model/model.tar.gz", Body=b"")


def test_the_clean_up_ends_by_listing_nothing(aws, shown, capsys):
    account = clean_up.Account(aws.client, ("iris-model",))
    found = account.left()
    assert set(found["stacks"]) == {
        "slipway-bootstrap",
        "slipway-images",
        "slipway-labs",
        "slipway-model-iris-forest",
        "slipway-model-iris-model",
    }
    assert found["bucket"] and "/aws/sagemaker/TrainingJobs" in found["log groups"]

    # A model that is deployed is not torn down by this.
    topic = {"Resources": {"Topic": {"Type": "AWS::SNS::Topic"}}}
    aws.deploy("mlops-deploy-iris-model-dev", topic)
    with pytest.raises(clean_up.CleanUpError, match=r"mlops-deploy-iris-model-dev.*teardown"):
        clean_up.clean_up(account, data=True)
    assert set(account.left()["stacks"]) == {*found["stacks"], "mlops-deploy-iris-model-dev"}
    aws.client("cloudformation").delete_stack(StackName="mlops-deploy-iris-model-dev")
    aws.client("cloudformation").get_waiter("stack_delete_complete").wait(
        StackName="mlops-deploy-iris-model-dev", WaiterConfig={"Delay": 1}
    )

    # Without being told so it leaves the data.
    clean_up.clean_up(account, data=False)
    assert {kind: names for kind, names in account.left().items() if names} == {"bucket": [account.bucket]}
    assert next(iter(account.objects()))
    clean_up.clean_up(account, data=True)
    capsys.readouterr()
    assert clean_up.show(account.left())
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[-1] for line in lines] == ["0"] * 7
