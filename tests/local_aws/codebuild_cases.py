"""Projects and builds for the tests of CodeBuild."""

import io
import json
import zipfile

from tests.local_aws.sagemaker_cases import unique, wait

BUCKET = "codebuild-tests"
ROLE = "arn:aws:iam::123456789012:role/codebuild-tests"
TRUST = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Principal": {"Service": "codebuild.amazonaws.com"}, "Action": "sts:AssumeRole"}],
}


def set_up(aws):
    """Make the bucket of sources and a role that may do everything, once for each local AWS."""
    iam, s3 = aws.client("iam"), aws.client("s3")
    if BUCKET in {bucket["Name"] for bucket in s3.list_buckets()["Buckets"]}:
        return
    iam.create_role(RoleName="codebuild-tests", AssumeRolePolicyDocument=json.dumps(TRUST))
    iam.attach_role_policy(RoleName="codebuild-tests", PolicyArn="arn:aws:iam::aws:policy/AdministratorAccess")
    s3.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": "us-west-2"})
    s3.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Enabled"})


def zipped(files):
    """Pack files, by name."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return packed.getvalue()


def put_source(aws, key, files):
    """Put a source; return its VersionId."""
    return aws.client("s3").put_object(Bucket=BUCKET, Key=key, Body=zipped(files))["VersionId"]


def spec(*commands, **others):
    """Write a buildspec with commands of the phase `build`; YAML takes JSON."""
    return json.dumps({"version": "0.2", "phases": {"build": {"commands": list(commands)}}, **others}, indent=1)


def settings(buildspec, **changes):
    """Return the parameters of a project without a source."""
    environment = {
        "type": "LINUX_CONTAINER",
        "image": "aws/codebuild/standard:7.0",
        "computeType": "BUILD_GENERAL1_SMALL",
    }
    return {
        "name": unique("project"),
        "source": {"type": "NO_SOURCE", "buildspec": buildspec},
        "artifacts": {"type": "NO_ARTIFACTS"},
        "environment": environment,
        "serviceRole": ROLE,
    } | changes


def project(codebuild, buildspec, **changes):
    """Make a project; return its name."""
    return codebuild.create_project(**settings(buildspec, **changes))["project"]["name"]


def start(codebuild, name, **parameters):
    return codebuild.start_build(projectName=name, **parameters)["build"]["id"]


def described(codebuild, build_id):
    return codebuild.batch_get_builds(ids=[build_id])["builds"][0]


def ended(codebuild, build_id):
    """Wait for the end of a build, and describe it."""
    wait(lambda: described(codebuild, build_id)["buildComplete"], False)
    return described(codebuild, build_id)


def run(codebuild, buildspec, **changes):
    """Make a project and run a build of it."""
    return ended(codebuild, start(codebuild, project(codebuild, buildspec, **changes)))


def phase(build, name):
    """Return the status of a phase, and the code and the message of its context."""
    [found] = [one for one in build["phases"] if one["phaseType"] == name]
    [context] = found.get("contexts", [{}])
    return found.get("phaseStatus"), context.get("statusCode", ""), context.get("message", "")


def log(aws, build):
    """Return the lines of a build's log that its commands have written."""
    where = build["logs"]
    pages = (
        aws.client("logs")
        .get_paginator("filter_log_events")
        .paginate(logGroupName=where["groupName"], logStreamNames=[where["streamName"]])
    )
    lines = [event["message"].rstrip("\n") for page in pages for event in page["events"]]
    return [line for line in lines if not line.startswith("[Container]")]


def sandbox_is_empty(aws):
    """Tell whether no build has left a file."""
    return list((aws.state_dir / "codebuild").iterdir()) == []
