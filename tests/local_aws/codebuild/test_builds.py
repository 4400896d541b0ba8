"""Builds: what their commands see and write, how they end, and what is told of them."""

import pytest

from tests.local_aws.codebuild_cases import (
    BUCKET,
    described,
    ended,
    log,
    phase,
    project,
    put_source,
    run,
    sandbox_is_empty,
    spec,
    start,
)
from tests.local_aws.sagemaker_cases import refused, unique

pytestmark = pytest.mark.local_aws
BEFORE = ["SUBMITTED", "QUEUED", "PROVISIONING", "DOWNLOAD_SOURCE"]
ALL = [*BEFORE, "INSTALL", "PRE_BUILD", "BUILD", "POST_BUILD", "UPLOAD_ARTIFACTS", "FINALIZING", "COMPLETED"]


def test_a_build_of_a_version_runs_its_commands(building_aws, codebuild):
    key = f"{unique('source')}.zip"
    version = put_source(building_aws, key, {"a.txt": "first\n", "bin/go": "x"})
    put_source(building_aws, key, {"a.txt": "second\n"})
    text = spec("cat a.txt", "export NEXT=$WORD-2; cd bin", "pwd; echo $NEXT", env={"exported-variables": ["NEXT"]})
    name = project(codebuild, text, source={"type": "S3", "location": f"{BUCKET}/{key}", "buildspec": text})
    variables = [{"name": "WORD", "value": "w", "type": "PLAINTEXT"}]
    build = ended(codebuild, start(codebuild, name, sourceVersion=version, environmentVariablesOverride=variables))
    assert build["buildStatus"] == "SUCCEEDED", build["phases"]
    lines = log(building_aws, build)
    assert (lines[0], lines[1].endswith("/src/bin"), lines[2]) == ("first", True, "w-2")
    assert build["exportedEnvironmentVariables"] == [{"name": "NEXT", "value": "w-2"}]
    assert (build["sourceVersion"], build["resolvedSourceVersion"]) == (version, version)
    assert [one["phaseType"] for one in build["phases"]] == ALL
    assert {one["phaseStatus"] for one in build["phases"][:-1]} == {"SUCCEEDED"}
    assert build["currentPhase"] == "COMPLETED"
    assert build["endTime"] >= build["startTime"]
    assert build["logs"]["groupName"] == f"/aws/codebuild/{name}"
    assert build["logs"]["streamName"] in build["logs"]["deepLink"]
    assert build["initiator"] == "slipway-operator"
    assert sandbox_is_empty(building_aws)


def test_the_buildspec_may_be_in_the_source(building_aws, codebuild):
    key = f"{unique('source')}.zip"
    put_source(building_aws, key, {"buildspec.yml": spec("echo inside"), "other.yml": spec("echo other")})
    name = project(codebuild, "", source={"type": "S3", "location": f"{BUCKET}/{key}"})
    assert log(building_aws, ended(codebuild, start(codebuild, name))) == ["inside"]
    other = ended(codebuild, start(codebuild, name, buildspecOverride="other.yml"))
    assert log(building_aws, other) == ["other"]
    outside = ended(codebuild, start(codebuild, name, buildspecOverride="../../../ledger.jsonl"))
    assert phase(outside, "DOWNLOAD_SOURCE")[:2] == ("FAILED", "YAML_FILE_ERROR")


def test_nothing_of_the_local_aws_is_in_the_environment(building_aws, codebuild):
    build = run(codebuild, spec("env | cut -d= -f1 | sort"))
    names = set(log(building_aws, build))
    assert {name for name in names if not name.startswith(("AWS_", "CODEBUILD_"))} == {
        *("CI", "HOME", "LANG", "PATH", "PWD", "TMPDIR"),
    }
    assert {name for name in names if name.startswith("AWS_")} == {
        "AWS_ACCESS_KEY_ID",
        "AWS_DEFAULT_REGION",
        "AWS_ENDPOINT_URL",
        "AWS_REGION",
        "AWS_SECRET_ACCESS_KEY",
        "AWS_SESSION_TOKEN",
    }


def test_a_failed_command_ends_its_phase_and_the_build_goes_on_to_post_build(building_aws, codebuild):
    phases = {
        "build": {"commands": ["echo one", "exit 3", "echo two"], "finally": ["echo last"]},
        "post_build": {"commands": ["echo after $CODEBUILD_BUILD_SUCCEEDING"]},
    }
    build = run(codebuild, spec(phases=phases))
    assert build["buildStatus"] == "FAILED"
    assert log(building_aws, build) == ["one", "last", "after 0"]
    assert phase(build, "BUILD") == (
        "FAILED",
        "COMMAND_EXECUTION_ERROR",
        "Error while executing command: exit 3. Reason: exit status 3",
    )
    assert phase(build, "UPLOAD_ARTIFACTS")[0] == "SUCCEEDED"


@pytest.mark.parametrize(
    ("name", "on_failure", "lines"),
    [
        ("pre_build", None, []),
        ("pre_build", "CONTINUE", ["build", "post"]),
        ("build", "ABORT", []),
    ],
)
def test_what_follows_a_failed_phase(building_aws, codebuild, name, on_failure, lines):
    phases = {"build": {"commands": ["echo build"]}, "post_build": {"commands": ["echo post"]}}
    phases[name] = {"commands": ["false"], **({"on-failure": on_failure} if on_failure else {})}
    build = run(codebuild, spec(phases=phases))
    assert (build["buildStatus"], log(building_aws, build)) == ("FAILED", lines)


def test_docker_needs_the_privileged_mode(building_aws, codebuild):
    build = run(codebuild, spec("docker info"))
    assert build["buildStatus"] == "FAILED"
    assert log(building_aws, build) == [
        "Cannot connect to the Docker daemon at unix:///var/run/docker.sock. Is the docker daemon running?"
    ]


@pytest.mark.parametrize(
    ("files", "why"),
    [
        ({"../../outside": "x"}, "leads outside"),
        ({"/outside": "x"}, "leads outside"),
        (b"no zip", "error while unzipping"),
    ],
)
def test_a_source_that_leads_outside_or_is_no_zip_is_refused(building_aws, codebuild, files, why):
    key = f"{unique('source')}.zip"
    if isinstance(files, bytes):
        building_aws.client("s3").put_object(Bucket=BUCKET, Key=key, Body=files)
    else:
        put_source(building_aws, key, files)
    text = spec("echo ran")
    source = {"type": "S3", "location": f"{BUCKET}/{key}", "buildspec": text}
    build = run(codebuild, text, source=source)
    status, code, message = phase(build, "DOWNLOAD_SOURCE")
    assert (build["buildStatus"], status, code, why in message) == ("FAILED", "FAILED", "CLIENT_ERROR", True), message


def test_artifacts_are_put(building_aws, codebuild):
    prefix = unique("artifacts")
    text = spec("mkdir out", "echo made > out/a.txt", artifacts={"files": ["**/*"], "base-directory": "out"})
    artifacts = {"type": "S3", "location": BUCKET, "path": prefix, "name": "result"}
    build = run(codebuild, text, artifacts=artifacts)
    assert build["buildStatus"] == "SUCCEEDED", build["phases"]
    assert build["artifacts"]["location"] == f"arn:aws:s3:::{BUCKET}/{prefix}/result"
    body = building_aws.client("s3").get_object(Bucket=BUCKET, Key=f"{prefix}/result/a.txt")["Body"]
    assert body.read() == b"made\n"
    missing = run(codebuild, spec("true", artifacts={"files": ["none"]}), artifacts=artifacts)
    assert phase(missing, "UPLOAD_ARTIFACTS") == ("FAILED", "CLIENT_ERROR", "no matching artifact paths found")


def test_a_token_starts_one_build(codebuild):
    name, token = project(codebuild, spec("true")), unique("token")
    first = start(codebuild, name, idempotencyToken=token)
    assert start(codebuild, name, idempotencyToken=token) == first
    refused(
        lambda: start(codebuild, name, idempotencyToken=token, timeoutInMinutesOverride=5),
        "InvalidInputException",
        "token",
    )
    ended(codebuild, first)
    assert codebuild.list_builds_for_project(projectName=name)["ids"] == [first]


def test_builds_are_listed_and_deleted(codebuild):
    name = project(codebuild, spec("true"))
    ids = [start(codebuild, name) for _ in range(3)]
    assert [ended(codebuild, one)["buildNumber"] for one in ids] == [1, 2, 3]
    assert codebuild.list_builds_for_project(projectName=name)["ids"] == ids[::-1]
    assert codebuild.list_builds_for_project(projectName=name, sortOrder="ASCENDING")["ids"] == ids
    assert set(ids) <= set(codebuild.list_builds()["ids"])
    answer = codebuild.batch_delete_builds(ids=[ids[0], f"{name}:none"])
    assert [arn.partition(":build/")[2] for arn in answer["buildsDeleted"]] == [ids[0]]
    assert [one["id"] for one in answer["buildsNotDeleted"]] == [f"{name}:none"]
    assert codebuild.batch_get_builds(ids=[ids[0]])["buildsNotFound"] == [ids[0]]
    refused(lambda: codebuild.list_builds_for_project(projectName=unique("no")), "ResourceNotFoundException", "Project")
    refused(lambda: codebuild.list_builds(nextToken="x"), "InvalidInputException", "nextToken")


def test_a_project_may_limit_its_builds(codebuild):
    name = project(codebuild, spec("sleep 60"), concurrentBuildLimit=1)
    first = start(codebuild, name)
    refused(lambda: start(codebuild, name), "AccountLimitExceededException", name)
    codebuild.stop_build(id=first)
    ended(codebuild, first)
    second = start(codebuild, name)
    codebuild.stop_build(id=second)
    assert ended(codebuild, second)["buildStatus"] == "STOPPED"


def test_overrides_of_what_is_not_here_are_refused(codebuild):
    name = project(codebuild, spec("true"))
    refused(
        lambda: codebuild.start_build(projectName=name, debugSessionEnabled=True),
        "InvalidInputException",
        "debugSession",
    )
    refused(lambda: start(codebuild, unique("no")), "ResourceNotFoundException", "Project cannot be found")
    refused(lambda: codebuild.stop_build(id=f"{name}:none"), "ResourceNotFoundException", "Build cannot be found")


def test_an_unknown_version_fails_the_download(building_aws, codebuild):
    key, text = f"{unique('source')}.zip", spec("true")
    put_source(building_aws, key, {"a": "1"})
    name = project(codebuild, text, source={"type": "S3", "location": f"{BUCKET}/{key}", "buildspec": text})
    build = ended(codebuild, start(codebuild, name, sourceVersion="none"))
    assert phase(build, "DOWNLOAD_SOURCE")[:2] == ("FAILED", "CLIENT_ERROR")
    assert described(codebuild, build["id"])["buildComplete"]
