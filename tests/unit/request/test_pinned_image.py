"""Which image a release uses, by its zip and its model file, and its digest."""

from dataclasses import dataclass, replace

import pytest

from slipway.errors import ImageMissing, NameConflict, PolicyViolation, UnreadableDocument
from slipway.formats.image_uri import EcrImage
from slipway.model.config import ModelConfig
from slipway.names import newest_image_key
from slipway.plan import PinnedImage, ReleasePlan
from slipway.request.fence import fence, load_request, parse_zip
from slipway.request.pinned_image import require_image
from slipway.request.process import plan_again, process_request
from tests.unit.request_samples import AWS, BUCKET, KEY, DictStore, changed, iris, request_zip, revision, training_job

ACCOUNT = "123456789012"
REPOSITORY = f"{ACCOUNT}.dkr.ecr.us-west-2.amazonaws.com/mlops-iris-model"
FIRST, SECOND = (f"sha256:{digit * 64}" for digit in "12")


@dataclass(frozen=True)
class Found:
    digest: str


class Registry:
    """ECR: digests by tag, and those that are gone."""

    def __init__(self, **tags: str) -> None:
        self.tags, self.gone, self.calls = tags, set(), 0

    def tagged_image(self, repository, tag):
        self.calls += 1
        return Found(self.tags[tag]) if repository == "mlops-iris-model" and tag in self.tags else None

    def image(self, repository, digest):
        self.calls += 1
        return Found(digest) if digest in self.tags.values() and digest not in self.gone else None


def model(image=None, **policy) -> ModelConfig:
    content = iris()
    content["policy"] |= policy
    if image is not None:
        content["image"] = image
        if "images" not in policy:
            del content["policy"]["images"]
    return ModelConfig.model_validate(content)


def zipped(image: str) -> bytes:
    return request_zip(changed(training_job(), "AlgorithmSpecification.TrainingImage", image))


def store_of(data: bytes, newest: str | None = None) -> DictStore:
    store = DictStore({(BUCKET, KEY, "v1"): data})
    if newest is not None:
        store.objects[BUCKET, newest_image_key("iris-model"), None] = newest.encode()
    return store


def released(image, wanted, registry, newest=None, store=None, **policy) -> ReleasePlan:
    data = zipped(wanted)
    store = store or store_of(data, newest)
    return process_request(model(image, **policy), revision(data), s3=store, aws=AWS, ecr=registry)


NEWEST = (
    f'{{"format_version": 1, "uri": "{REPOSITORY}", "digest": "{SECOND}", "tag": "src-2", "source": '
    '{"bucket": "b", "key": "image_builds/iris-model/image.zip", "version_id": "v7", "sha256": "ab"}, "more": 1}'
)


@pytest.mark.parametrize(
    ("image", "wanted", "digest", "tag"),
    [
        ({"tag": "1"}, ":latest", FIRST, "1"),
        ({"tag": "1"}, "", FIRST, "1"),
        ({"tag": "1"}, ":1", FIRST, "1"),
        ({"digest": FIRST}, ":latest", FIRST, None),
        ({"digest": FIRST}, f"@{FIRST}", FIRST, None),
        ({}, ":latest", SECOND, "src-2"),
        ({}, ":1", FIRST, "1"),
        ({}, f"@{FIRST}", FIRST, None),
    ],
)
def test_the_zip_and_the_model_file_agree_on_one_image(image, wanted, digest, tag):
    plan = released(image, REPOSITORY + wanted, Registry(**{"1": FIRST, "src-2": SECOND}), NEWEST)
    assert (plan.image.uri, plan.image.tag) == (f"{REPOSITORY}@{digest}", tag)


@pytest.mark.parametrize(
    ("image", "wanted"),
    [
        ({"tag": "1"}, f"{REPOSITORY}:2"),
        ({"tag": "1"}, f"{REPOSITORY}@{FIRST}"),
        ({"digest": FIRST}, f"{REPOSITORY}@{SECOND}"),
        ({"digest": FIRST}, f"{REPOSITORY}:1"),
        ({}, f"{REPOSITORY}-of-others:latest"),
        ({}, REPOSITORY.replace("123456789012", "210987654321")),
        ({}, REPOSITORY.replace("us-west-2", "us-east-1")),
        ({}, "python:3.11"),
        ({"repository": "forests"}, f"{REPOSITORY}:1"),
    ],
)
def test_another_image_than_the_model_files_is_refused_and_ecr_is_not_asked(image, wanted):
    registry = Registry(**{"1": FIRST, "2": SECOND})
    with pytest.raises(PolicyViolation, match=f"TrainingImage: expected {ACCOUNT}") as refused:
        released(image, wanted, registry)
    assert refused.value.resource.endswith("model file of iris-model: image")
    assert registry.calls == 0


def test_images_in_the_policy_count_beside_the_models_own():
    with pytest.raises(PolicyViolation, match=r"expected one of .*:2, found .*:1"):
        released({}, f"{REPOSITORY}:1", Registry(**{"1": FIRST}), images=[f"{REPOSITORY}:2"])


def test_an_image_of_the_account_is_pinned_without_a_section_image():
    plan = released(None, f"{REPOSITORY}:1", Registry(**{"1": FIRST}), images=[f"{REPOSITORY}:*"])
    assert plan.image == PinnedImage(f"{REPOSITORY}@{FIRST}", "1")


def test_aws_own_images_are_used_by_their_names_and_cost_no_call():
    data, registry = request_zip(), Registry()
    plan = process_request(model(), revision(data), s3=store_of(data), aws=AWS, ecr=registry)
    assert plan.image is None
    assert registry.calls == 0


def test_the_newest_build_says_what_it_was_built_from():
    plan = released({}, REPOSITORY, Registry(**{"src-2": SECOND}), NEWEST)
    assert plan.image.source == "s3://b/image_builds/iris-model/image.zip version v7"


@pytest.mark.parametrize(
    ("image", "newest", "why"),
    [
        ({"tag": "9"}, None, "has no image with the tag 9"),
        ({"digest": FIRST}, None, "has no image with the digest sha256:1"),
        ({}, None, "no build has made one"),
        ({}, NEWEST, "has no image with the digest sha256:2"),
        ({}, NEWEST.replace(REPOSITORY, f"{REPOSITORY}2"), "mlops-iris-model2@sha256"),
    ],
)
def test_an_image_that_is_not_there_stops_the_release_before_anything_is_kept(image, newest, why):
    data = zipped(f"{REPOSITORY}:latest")
    store = store_of(data, newest)
    with pytest.raises(ImageMissing, match=why):
        released(image, f"{REPOSITORY}:latest", Registry(), store=store)
    assert "put_if_absent" not in store.calls


def test_a_record_that_is_none_is_not_taken_for_an_image():
    with pytest.raises(UnreadableDocument):
        released({}, REPOSITORY, Registry(), '{"digest": 1}')


def test_run_again_after_the_tag_has_moved_it_stays_with_its_image():
    wanted, registry = f"{REPOSITORY}:latest", Registry(**{"1": FIRST})
    store = store_of(zipped(wanted))
    first = released({"tag": "1"}, wanted, registry, store=store)
    registry.tags["1"] = SECOND
    assert released({"tag": "1"}, wanted, registry, store=store) == first
    again = plan_again(model({"tag": "1"}), first.revision_id, first.digest, s3=store, aws=AWS)
    assert again.image == first.image == PinnedImage(f"{REPOSITORY}@{FIRST}", "1")


def test_training_is_given_the_digest():
    wanted = f"{REPOSITORY}:1"
    store = store_of(zipped(wanted))
    plan = released({}, wanted, Registry(**{"1": FIRST}), store=store)
    # The model file may name another tag by then.
    parameters = load_request(store, plan, model({"tag": "2"}), AWS).create_training_job_parameters(plan)
    assert parameters["AlgorithmSpecification"]["TrainingImage"] == f"{REPOSITORY}@{FIRST}"
    assert ReleasePlan.from_xcom(plan.to_xcom()) == plan


@pytest.mark.parametrize(
    ("pinned", "error"),
    [
        (f"{REPOSITORY}-of-others@{FIRST}", PolicyViolation),
        (f"{REPOSITORY}:1", NameConflict),
    ],
)
def test_a_plan_with_an_image_that_is_not_the_requests_is_refused(pinned, error):
    wanted = f"{REPOSITORY}:1"
    store = store_of(zipped(wanted))
    plan = released({}, wanted, Registry(**{"1": FIRST}), store=store)
    with pytest.raises(error):
        load_request(store, replace(plan, image=PinnedImage(pinned)), model({}), AWS)


def test_without_a_section_image_a_plan_cannot_bring_another_repository():
    content = model(images=[f"{REPOSITORY}:*"])
    with pytest.raises(NameConflict, match="began with another image"):
        fence(parse_zip(zipped(f"{REPOSITORY}:1")), content, AWS, PinnedImage(f"{REPOSITORY}-of-others@{FIRST}"))


def test_only_the_accounts_own_images_are_looked_for():
    registry = Registry(**{"1": FIRST, "latest": SECOND})
    for there in (f"{REPOSITORY}:1", f"{REPOSITORY}@{FIRST}", REPOSITORY):
        require_image(there, AWS, registry)
    assert registry.calls == 3
    require_image(f"210987654321{REPOSITORY[12:]}@{FIRST}", AWS, registry)
    require_image("246618743249.dkr.ecr.us-west-2.amazonaws.com/sagemaker-xgboost:1.7-1", AWS, registry)
    assert registry.calls == 3
    registry.gone.add(FIRST)
    with pytest.raises(ImageMissing, match="The container image is gone"):
        require_image(f"{REPOSITORY}@{FIRST}", AWS, registry)


@pytest.mark.parametrize(
    "uri",
    [
        REPOSITORY,
        f"{REPOSITORY}:latest",
        f"{REPOSITORY}@{FIRST}",
        f"{REPOSITORY}:1.0-1_a@{FIRST}",
        f"123456789012.dkr.ecr.cn-north-1.amazonaws.com.cn/team/model@{FIRST}",
    ],
)
def test_an_uri_taken_apart_is_put_together_again(uri):
    assert str(EcrImage.parse(uri)) == uri


@pytest.mark.parametrize(
    "uri", ["python:3.11", f"{REPOSITORY}@sha256:1", f"{REPOSITORY}:", f"x{REPOSITORY}", f"{REPOSITORY}/"]
)
def test_what_is_no_uri_of_ecr_is_none(uri):
    assert EcrImage.parse(uri) is None
