"""Setting up an account: what an administrator's command deploys, and again when something has changed."""

import hashlib
import json
import shutil
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from slipway import names
from slipway.command import set_up
from slipway.command.aws import Aws
from slipway.command.errors import CommandError
from slipway.command.main import app
from slipway.command.stacks import ACCOUNT_STACK, IMAGES_STACK, Stacks
from tests.aws_keys import CREDENTIALS
from tests.cfn.test_templates import TEMPLATES, load
from tests.local_aws.server import REGION, ROOT
from tools import bootstrap_stack
from tools.models import ModelFiles
from tools.settings import AIRFLOW_PRINCIPAL

BUCKET = "mlops-us-west-2-123456789012"
OTHER_PRINCIPAL = "arn:aws:iam::123456789012:role/mwaa"


@pytest.fixture
def include(tmp_path) -> Path:
    return Path(shutil.copytree(ROOT / "include", tmp_path / "include"))


@pytest.fixture
def aws(new_local_aws):
    return new_local_aws().start()


def parameters(aws, stack: str = ACCOUNT_STACK) -> dict[str, str]:
    return {item["ParameterKey"]: item["ParameterValue"] for item in aws.stack(stack)["Parameters"]}


def urls(aws) -> list[str]:
    return parameters(aws)["EndpointTemplateUrls"].split(",")


def keys(aws) -> set[str]:
    found = aws.client("s3").list_objects_v2(Bucket=BUCKET, Prefix="templates/")
    return {item["Key"] for item in found.get("Contents", [])}


def bootstrap_by_command(aws, include: Path, monkeypatch: pytest.MonkeyPatch, *words: str) -> dict[str, Any]:
    """What `slipway bootstrap` says that it has done, as the administrator."""
    for name, value in {
        "AWS_ENDPOINT_URL": aws.endpoint_url,
        "AWS_ACCESS_KEY_ID": CREDENTIALS.admin.access_key_id,
        "AWS_SECRET_ACCESS_KEY": CREDENTIALS.admin.secret_access_key,
        "SLIPWAY_INCLUDE_FOLDER": str(include),
    }.items():
        monkeypatch.setenv(name, value)
    said = CliRunner().invoke(app, ["bootstrap", "--yes", "--json", *words])
    assert said.exit_code == 0, said.output
    return json.loads(said.stdout)


def changes(document: dict[str, Any]) -> dict[str, int]:
    """How many resources of each stack were changed."""
    return {one["stack"]: len(one["changes"]) for one in document["stacks"]}


def new_version(template: Path, text: str) -> str:
    with template.open("a") as file:
        file.write(f"# {text}\n")
    return set_up.endpoint_template_key()


def test_the_registries_are_those_of_the_sagemaker_sdk():
    # Not imported, which takes a second or two.
    (folder,) = find_spec("sagemaker").submodule_search_locations
    table = Path(folder) / "core" / "image_uri_config"
    ours = {region: entry["Account"] for region, entry in load("model.yaml")["Mappings"]["AlgorithmRegistries"].items()}
    for algorithm in ("xgboost", "sklearn"):
        config = json.loads((table / f"{algorithm}.json").read_text())
        versions = (config if "versions" in config else config["training"])["versions"].values()
        for version in versions:
            if version["repository"].startswith("sagemaker-"):
                assert ours == version["registries"]


@pytest.mark.local_aws
def test_an_account_is_set_up_and_again_with_what_has_changed(aws, include, monkeypatch):
    template = Path(shutil.copy(TEMPLATES["endpoint.yaml"], include))
    monkeypatch.setattr(set_up, "endpoint_template", lambda: template)
    first = set_up.endpoint_template_key()
    assert first == names.template_key("endpoint", hashlib.sha256(template.read_bytes()).hexdigest())
    assert bootstrap_stack.deploy(aws.client, include, AIRFLOW_PRINCIPAL) == []
    assert parameters(aws)["AirflowPrincipalArn"] == AIRFLOW_PRINCIPAL
    assert [url.rpartition("/templates/")[2] for url in urls(aws)] == [first.removeprefix("templates/")]
    assert keys(aws) == {first}

    # Nothing has changed.
    before = aws.ledger(service="cloudformation", operation="ExecuteChangeSet")
    assert bootstrap_stack.deploy(aws.client, include) == []
    assert aws.ledger(service="cloudformation", operation="ExecuteChangeSet") == before

    # A new version of the template: the one before stays allowed while Airflow is brought to it, older ones do not.
    versions = [first, new_version(template, "second")]
    assert bootstrap_stack.deploy(aws.client, include) == []
    assert [url.partition(f"{BUCKET}/")[2] for url in urls(aws)] == versions[::-1]
    assert parameters(aws)["AirflowPrincipalArn"] == AIRFLOW_PRINCIPAL
    versions.append(new_version(template, "third"))
    assert bootstrap_stack.deploy(aws.client, include, OTHER_PRINCIPAL) == []
    assert [url.partition(f"{BUCKET}/")[2] for url in urls(aws)] == versions[:0:-1]
    assert parameters(aws)["AirflowPrincipalArn"] == OTHER_PRINCIPAL
    assert keys(aws) == set(versions)

    # A later model gets its roles; one that CloudFormation refuses is reported, and the others are deployed.
    found = ModelFiles(["releases", "wine-model"], [])
    monkeypatch.setattr(bootstrap_stack, "read_models", lambda include: found)
    (problem,) = bootstrap_stack.deploy(aws.client, include)
    assert "slipway-model-releases" in problem and "folders of Slipway's own" in problem
    roles = {role["RoleName"] for role in aws.client("iam").list_roles()["Roles"]}
    assert {"slipway-training-wine-model", "slipway-endpoint-wine-model"} <= roles
    assert not {name for name in roles if name.endswith("-releases")}


@pytest.mark.local_aws
def test_a_parameter_that_a_later_template_no_longer_has_is_left_behind(aws, include, monkeypatch):
    folder = Path(shutil.copytree(TEMPLATES["model.yaml"].parent, include.with_name("cfn")))
    monkeypatch.setattr(set_up, "set_up_template", lambda name: folder / f"{name}.yaml")
    path, stack = folder / "model.yaml", "slipway-model-iris-model"
    body = path.read_text()
    more = body.replace("Parameters:\n", "Parameters:\n  Gone: {Type: String, Default: soon}\n", 1)
    path.write_text(more.replace("SageMaker trains ${ModelPrefix}", "SageMaker ${Gone} trains ${ModelPrefix}"))
    assert bootstrap_stack.deploy(aws.client, include, AIRFLOW_PRINCIPAL) == []
    assert parameters(aws, stack)["Gone"] == "soon"
    path.write_text(body)
    assert bootstrap_stack.deploy(aws.client, include) == []
    assert "Gone" not in parameters(aws, stack)

    # The command line finds the same, and makes a later model's roles.
    forest = "slipway-model-iris-forest"
    none = dict.fromkeys((ACCOUNT_STACK, IMAGES_STACK, stack, forest), 0)
    assert changes(bootstrap_by_command(aws, include, monkeypatch)) == none
    iris = (include / "models" / "iris-model.yaml").read_text()
    (include / "models" / "wine.yaml").write_text(iris.replace("iris-model", "wine"))
    assert changes(bootstrap_by_command(aws, include, monkeypatch))["slipway-model-wine"] == 2
    roles = {role["RoleName"] for role in aws.client("iam").list_roles()["Roles"]}
    assert {"slipway-training-wine", "slipway-endpoint-wine"} <= roles


@pytest.mark.local_aws
def test_nobody_is_airflow_unless_an_administrator_says_who(aws, include):
    with pytest.raises(CommandError, match="give --airflow-principal the ARN"):
        bootstrap_stack.deploy(aws.client, include)
    with pytest.raises(CommandError, match="AirflowPrincipalArn"):
        bootstrap_stack.deploy(aws.client, include, "arn:aws:iam::123456789012:root")
    assert aws.client("cloudformation").describe_stacks()["Stacks"] == []


@pytest.mark.local_aws
@pytest.mark.parametrize("by_command", [False, True])
def test_a_stack_whose_creation_failed_is_deleted_and_made_again(aws, include, monkeypatch, by_command):
    """CloudFormation can only delete it.

    https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/view-stack-events.html
    """
    s3 = aws.client("s3")
    s3.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": REGION})
    with pytest.raises(CommandError, match="it is ROLLBACK_COMPLETE; Bucket: "):
        bootstrap_stack.deploy(aws.client, include, AIRFLOW_PRINCIPAL)
    assert "Bucket: " in Stacks(Aws(aws.client)).why_never_made(ACCOUNT_STACK)
    # Of a stack that was never made there are no values to keep.
    with pytest.raises(CommandError, match="give --airflow-principal the ARN"):
        bootstrap_stack.deploy(aws.client, include)
    s3.delete_bucket(Bucket=BUCKET)
    if by_command:
        done = bootstrap_by_command(aws, include, monkeypatch, "--airflow-principal", AIRFLOW_PRINCIPAL)
        assert min(changes(done).values()) > 0
    else:
        assert bootstrap_stack.deploy(aws.client, include, AIRFLOW_PRINCIPAL) == []
    assert aws.stack(ACCOUNT_STACK)["StackStatus"] == "CREATE_COMPLETE"
