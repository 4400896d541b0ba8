"""Lifecycle policies: which images expire, and that whole images do."""

import json

import pytest

from local_aws.ecr.lifecycle import expiring, parse
from local_aws.framework.api import ServiceError
from tests.local_aws.ecr_cases import archive, files, push, repository, tags
from tests.local_aws.sagemaker_cases import refused

DAY = 86_400.0
LAYER = archive({"a": "1"})


def rule(priority, status, count, *, days=False, **selection):
    kind = {"countType": "sinceImagePushed", "countUnit": "days"} if days else {"countType": "imageCountMoreThan"}
    return {
        "rulePriority": priority,
        "selection": {"tagStatus": status, "countNumber": count, **kind, **selection},
        "action": {"type": "expire"},
    }


def policy(*rules):
    return json.dumps({"rules": list(rules)})


def image(day, *of_tags, digest="", images=()):
    name = digest or f"d{day}"
    return {"imageDigest": name, "imageTags": list(of_tags), "imagePushedAt": day * DAY, "images": list(images)}


def expired(text, *images, now=100, scale=1.0):
    return [one.image["imageDigest"] for one in expiring(parse(text), images, now * DAY, scale)]


def test_the_oldest_of_too_many_expire():
    assert expired(policy(rule(1, "any", 2)), image(1), image(2, "a"), image(3), image(4)) == ["d1", "d2"]


def test_old_images_expire():
    text = policy(rule(1, "untagged", 14, days=True))
    assert expired(text, image(85), image(87), image(1, "kept")) == ["d85"]
    assert expired(text, image(99.9), scale=1000.0) == ["d99.9"]


def test_an_image_needs_a_tag_for_each_prefix():
    text = policy(rule(1, "tagged", 1, tagPrefixList=["prod", "v"]))
    images = (image(1, "prod-1", "v1"), image(2, "prod-2"), image(3, "prod-3", "v3"))
    assert expired(text, *images) == ["d1"]


def test_patterns_have_wildcards():
    text = policy(rule(1, "tagged", 1, tagPatternList=["src-*-ok"]))
    assert expired(text, image(1, "src-1-ok"), image(2, "src-2"), image(3, "src-3-ok")) == ["d1"]


def test_a_rule_of_higher_priority_keeps_what_it_selects():
    text = policy(rule(1, "tagged", 2, tagPrefixList=["prod"]), rule(2, "any", 1))
    images = (image(1, "prod1"), image(2, "prod2"), image(3, "prod3"), image(4), image(5))
    # The second rule counts the newest of all, and may not touch what the first one selects.
    assert expired(text, *images) == ["d1", "d4"]


def test_an_image_of_an_index_stays():
    index = image(9, "index", digest="index", images=["d1"])
    assert expired(policy(rule(1, "untagged", 1)), image(1), image(2), image(3), index) == ["d2"]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("{", "not a lifecycle policy"),
        ("[]", "not a lifecycle policy"),
        (policy(), "needs a rule"),
        (policy(rule(1, "any", 1), rule(1, "untagged", 1)), "unique"),
        (policy(rule(1, "any", 1), rule(2, "untagged", 1)), "highest"),
        (policy(rule(1, "tagged", 1)), "tagPrefixList"),
        (policy(rule(1, "untagged", 1, tagPrefixList=["a"])), "tagPrefixList"),
        (policy(rule(1, "tagged", 1, tagPatternList=["*a*b*c*d*"])), "4 wildcards"),
        (policy(rule(1, "any", 0)), "positive"),
        (policy({**rule(1, "any", 1), "action": {"type": "transition"}}), "only expire"),
    ],
)
def test_a_wrong_policy_is_refused(text, why):
    with pytest.raises(ServiceError, match=why):
        parse(text)


# --- the service ------------------------------------------------------------------------------------------------------


@pytest.mark.local_aws
def test_images_expire_after_a_push(local_aws, ecr, eventually):
    name = repository(ecr)
    ecr.put_lifecycle_policy(repositoryName=name, lifecyclePolicyText=policy(rule(1, "any", 2)))
    for number in range(4):
        push(ecr, name, LAYER, tag=f"t{number}")
    eventually(lambda: tags(ecr, name), lambda found: found == ["t2", "t3"])
    # Two configurations and the layer that both images have.
    assert len(files(local_aws, name)) == 3


@pytest.mark.local_aws
def test_a_preview_deletes_nothing(ecr):
    name = repository(ecr)
    refused(lambda: ecr.get_lifecycle_policy(repositoryName=name), "LifecyclePolicyNotFoundException", name)
    pushed = [push(ecr, name, LAYER, tag=f"t{number}") for number in range(3)]
    ecr.start_lifecycle_policy_preview(repositoryName=name, lifecyclePolicyText=policy(rule(1, "any", 1)))
    ecr.get_waiter("lifecycle_policy_preview_complete").wait(repositoryName=name)
    found = ecr.get_lifecycle_policy_preview(repositoryName=name)
    assert [one["imageDigest"] for one in found["previewResults"]] == pushed[:2]
    assert found["summary"]["expiringImageTotalCount"] == 2
    assert tags(ecr, name) == ["t0", "t1", "t2"]


@pytest.mark.local_aws
def test_a_policy_is_put_read_and_deleted(ecr):
    name = repository(ecr)
    text = policy(rule(1, "any", 100))
    ecr.put_lifecycle_policy(repositoryName=name, lifecyclePolicyText=text)
    assert ecr.get_lifecycle_policy(repositoryName=name)["lifecyclePolicyText"] == text
    wrong = policy(rule(1, "any", 100), rule(2, "untagged", 1))
    refused(
        lambda: ecr.put_lifecycle_policy(repositoryName=name, lifecyclePolicyText=wrong),
        "InvalidParameterException",
        "Lifecycle policy validation failure",
    )
    ecr.delete_lifecycle_policy(repositoryName=name)
    refused(lambda: ecr.get_lifecycle_policy(repositoryName=name), "LifecyclePolicyNotFoundException", name)
