"""Set up an account by CloudFormation, as an administrator: its stack, the template for Airflow, a stack a model.

`python -m tools.bootstrap_stack` does it in the AWS that the environment's AWS_* variables name. Run it again for a new
model file and for a new version of Slipway; what is there already is updated.
"""

from __future__ import annotations

import argparse
import hashlib
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError, WaiterError

from tools import models
from tools.settings import Settings

STACK_NAME = "slipway-bootstrap"
# What the notebooks need beside it; only where somebody does the labs.
LABS_STACK_NAME = "slipway-labs"
WAIT = {"Delay": 1, "MaxAttempts": 120}
# How CloudFormation says that a change set would change nothing.
NO_CHANGES = ("didn't contain changes", "No updates are to be performed")
# The version in use and the one before: Airflow goes on deploying while it is brought to a new version.
TEMPLATE_VERSIONS = 2


class StackError(Exception):
    """A set-up stack could not be deployed; the message has CloudFormation's reason."""


def deploy(client: Callable[[str], Any], include: Path, airflow_principal: str | None = None) -> list[str]:
    """Deploy the account's stack, upload the template that Airflow may deploy, and deploy each model's stack.

    :param client: makes a client of a service, for the account and region
    :param include: the folder with the set-up templates and the model files
    :param airflow_principal: the role or user that Airflow runs as; None leaves it as it is
    :returns: what went wrong with single models' stacks, which keeps only their own releases back
    :raises StackError: with the reason of the first resource of the account's stack that failed
    """
    cloudformation = client("cloudformation")
    before = _parameters(cloudformation, STACK_NAME)
    if airflow_principal is None and before is None:
        raise StackError(
            f"Stack {STACK_NAME} does not exist yet, so Airflow's identity is unknown. Fix: give --airflow-principal "
            "the ARN of the role or user that Airflow's workers and triggerer run as"
        )
    template = endpoint_template(include)
    bucket, key, url = _template_place(cloudformation, client("sts"), template)
    known = (before or {}).get("EndpointTemplateUrls", "").split(",")
    urls = [url, *(text for text in known if text not in ("", url))][:TEMPLATE_VERSIONS]
    _deploy_stack(
        cloudformation,
        STACK_NAME,
        include / "cfn" / "bootstrap.yaml",
        {"AirflowPrincipalArn": airflow_principal, "EndpointTemplateUrls": ",".join(urls)},
    )
    client("s3").put_object(Bucket=bucket, Key=key, Body=template.read_bytes())
    problems = []
    for prefix in models.read(include).prefixes:
        try:
            wanted = {"ModelPrefix": prefix, "OtherImageRepositoryArns": None}
            _deploy_stack(cloudformation, f"slipway-model-{prefix}", include / "cfn" / "model.yaml", wanted)
        except StackError as error:
            problems.append(str(error))
    return problems


def deploy_labs(client: Callable[[str], Any], include: Path, principal: str) -> None:
    """Deploy the stack of the labs in an account that is set up.

    :param client: makes a client of a service, for the account and region
    :param include: the folder with the set-up templates
    :param principal: the role or user of the person who runs the notebooks
    :raises StackError: with the reason of the first resource that failed
    """
    template = include / "cfn" / "labs.yaml"
    _deploy_stack(client("cloudformation"), LABS_STACK_NAME, template, {"LabsPrincipalArn": principal})


def endpoint_template(include: Path) -> Path:
    """Find the template of endpoints in the package that Airflow runs.

    :param include: the folder with the model files
    :raises StackError: when the package is nowhere
    """
    places = [folder / "slipway" / "deployment" / "endpoint.yaml" for folder in models.plugins_folders(include)]
    for path in places:
        if path.is_file():
            return path
    raise StackError(f"The template of endpoints is not there: {' and '.join(map(str, places))}")


def template_key(template: Path) -> str:
    """Name the object that endpoint.yaml is uploaded as, as slipway.names.template_key does: it has the file's digest.

    :param template: endpoint.yaml
    """
    digest = hashlib.sha256(template.read_bytes()).hexdigest()
    return f"templates/endpoint-{digest[:16]}.yaml"


def _template_place(cloudformation: Any, sts: Any, template: Path) -> tuple[str, str, str]:
    """Bucket, key and URL of the template; the bucket is bootstrap.yaml's."""
    region, caller = cloudformation.meta.region_name, sts.get_caller_identity()
    domain = "amazonaws.com.cn" if caller["Arn"].split(":")[1] == "aws-cn" else "amazonaws.com"
    bucket, key = f"mlops-{region}-{caller['Account']}", template_key(template)
    return bucket, key, f"https://s3.{region}.{domain}/{bucket}/{key}"


def _deploy_stack(cloudformation: Any, stack: str, template: Path, wanted: Mapping[str, str | None]) -> None:
    """Create or update a stack by a change set, as `aws cloudformation deploy` does.

    https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/using-cfn-updating-stacks-changesets.html

    :param wanted: parameters; None keeps a parameter's value, which is the template's default at first
    """
    try:
        status = _status(cloudformation, stack)
        if status == "ROLLBACK_COMPLETE":  # a creation that failed can only be deleted
            cloudformation.delete_stack(StackName=stack)
            cloudformation.get_waiter("stack_delete_complete").wait(StackName=stack, WaiterConfig=WAIT)
            status = None
        create = status in (None, "REVIEW_IN_PROGRESS")
        body = template.read_text()
        known = set() if create else set(_parameters(cloudformation, stack) or {})
        declared = {
            item["ParameterKey"] for item in cloudformation.get_template_summary(TemplateBody=body)["Parameters"]
        }
        given = [{"ParameterKey": key, "ParameterValue": text} for key, text in wanted.items() if text is not None]
        # A value can be kept only when the stack has it and the template still declares it.
        kept = [{"ParameterKey": key, "UsePreviousValue": True} for key in known & declared if wanted.get(key) is None]
        kind, name = "CREATE" if create else "UPDATE", f"up-{time.time_ns()}"
        if _create_change_set(cloudformation, stack, body, [*given, *kept], kind, name):
            cloudformation.execute_change_set(StackName=stack, ChangeSetName=name)
            waiter = cloudformation.get_waiter(f"stack_{kind.lower()}_complete")
            waiter.wait(StackName=stack, WaiterConfig=WAIT)
    except (ClientError, WaiterError) as error:
        raise StackError(f"Stack {stack} could not be deployed: {_reason(cloudformation, stack) or error}") from error


def _described(cloudformation: Any, stack: str) -> dict[str, Any] | None:
    try:
        found: dict[str, Any] = cloudformation.describe_stacks(StackName=stack)["Stacks"][0]
    except ClientError as error:
        if "does not exist" in str(error):
            return None
        raise
    return found


def _status(cloudformation: Any, stack: str) -> str | None:
    found = _described(cloudformation, stack)
    return found["StackStatus"] if found else None


def _parameters(cloudformation: Any, stack: str) -> dict[str, str] | None:
    found = _described(cloudformation, stack)
    if found is None:
        return None
    return {item["ParameterKey"]: item.get("ParameterValue", "") for item in found.get("Parameters", [])}


def _create_change_set(
    cloudformation: Any, stack: str, body: str, parameters: list[dict[str, Any]], kind: str, name: str
) -> bool:
    """Create a change set, and return whether there is something to execute; an empty one is deleted again."""
    cloudformation.create_change_set(
        StackName=stack,
        ChangeSetName=name,
        ChangeSetType=kind,
        TemplateBody=body,
        Parameters=parameters,
        Capabilities=["CAPABILITY_NAMED_IAM"],
    )
    try:
        waiter = cloudformation.get_waiter("change_set_create_complete")
        waiter.wait(StackName=stack, ChangeSetName=name, WaiterConfig=WAIT)
    except WaiterError:
        made = cloudformation.describe_change_set(StackName=stack, ChangeSetName=name)
        if not any(text in made.get("StatusReason", "") for text in NO_CHANGES):
            raise
        cloudformation.delete_change_set(StackName=stack, ChangeSetName=name)
        return False
    return True


def _reason(cloudformation: Any, stack: str) -> str | None:
    """Return why the first resource failed in the stack's last operation."""
    try:
        events = cloudformation.describe_stack_events(StackName=stack)["StackEvents"]
    except ClientError:
        return None
    failed = [event for event in events if event["ResourceStatus"].endswith("_FAILED")]
    if not failed:
        return None
    return f"{failed[-1]['LogicalResourceId']}: {failed[-1].get('ResourceStatusReason', 'no reason given')}"


def main() -> int:
    """Set up another AWS than the one of `make up`."""
    import boto3

    def client(service: str) -> Any:
        return boto3.client(service)  # type: ignore[call-overload]  # its overloads list the services by literal name

    parser = argparse.ArgumentParser(prog="tools.bootstrap_stack", description=__doc__)
    parser.add_argument("--include", type=Path, default=Settings.from_environment().include_folder)
    parser.add_argument("--airflow-principal", help="ARN of the role or user that Airflow's workers run as")
    parser.add_argument("--labs-principal", help="ARN of the role or user of who does the labs, for their stack")
    chosen = parser.parse_args()
    try:
        problems = deploy(client, chosen.include, chosen.airflow_principal)
        if chosen.labs_principal:
            deploy_labs(client, chosen.include, chosen.labs_principal)
    except StackError as error:
        print(error, file=sys.stderr)
        return 1
    for text in problems:
        print(text, file=sys.stderr)
    print(f"Stack {STACK_NAME} is deployed, with the template and the stacks of the models.")
    return 1 if problems else 0


if __name__ == "__main__":
    raise SystemExit(main())
