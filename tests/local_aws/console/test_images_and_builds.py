"""The pages of repositories, images and builds."""

import pytest

from tests.local_aws import codebuild_cases, ecr_cases
from tests.local_aws.console.support import HOSTILE, ask, look
from tests.local_aws.console.test_pages import text_of

pytestmark = pytest.mark.local_aws


def test_images_are_shown_with_what_their_scan_has_found(local_aws):
    ecr = local_aws.client("ecr")
    name = ecr_cases.repository(
        ecr, imageScanningConfiguration={"scanOnPush": True}, tags=[{"Key": "team", "Value": "iris"}]
    )
    digest = ecr_cases.push(ecr, name, ecr_cases.archive(ecr_cases.distribution("PyYAML", "5.3")), tag="first")
    ecr.get_waiter("image_scan_complete").wait(repositoryName=name, imageId={"imageDigest": digest})
    assert name in text_of(look(local_aws, "repositories"))
    shown = text_of(look(local_aws, "repository", name=name))
    for text in (digest[7:19], "first", "1 CRITICAL", "team"):
        assert text in shown
    shown = text_of(look(local_aws, "image", repository=name, digest=digest))
    for text in ("CVE-2020-14343", "pyyaml", "5.4"):
        assert text in shown
    assert ask(local_aws, "repository", name="none")[0] == 404
    assert ask(local_aws, "image", repository=name, digest="sha256:none")[0] == 404


def test_builds_are_shown_without_the_values_of_their_variables(building_aws):
    codebuild = building_aws.client("codebuild")
    name = codebuild_cases.project(codebuild, codebuild_cases.spec("cat <<'E'\n" + HOSTILE + "\nE", "exit 3"))
    secret = [{"name": "PASSWORD", "value": "hunter2"}]
    build_id = codebuild_cases.start(codebuild, name, environmentVariablesOverride=secret)
    build = codebuild_cases.ended(codebuild, build_id)
    assert build_id in text_of(look(building_aws, "builds"))
    assert build_id in text_of(look(building_aws, "builds", project=name))
    page = look(building_aws, "build", id=build_id)
    for text in ("FAILED", "PASSWORD", "Reason: exit status 3", build["logs"]["streamName"]):
        assert text in text_of(page)
    assert "hunter2" not in page
    where = {"group": build["logs"]["groupName"], "stream": build["logs"]["streamName"]}
    assert HOSTILE in text_of(look(building_aws, "log", **where))
    assert ask(building_aws, "build", id=f"{name}:none")[0] == 404
