"""What an endpoint is going to serve."""

from local_aws.sagemaker.endpoint_plan import Plan, PlannedVariant

TAGGED = "123456789012.dkr.ecr.us-west-2.amazonaws.com/own:1"
DIGEST = f"123456789012.dkr.ecr.us-west-2.amazonaws.com/own@sha256:{'a' * 64}"


def test_a_pinned_plan_serves_the_digest_and_tells_both():
    variant = PlannedVariant("one", "model", {"Image": TAGGED, "EnableNetworkIsolation": True}, 1, 1.0)
    plan = Plan("config", (variant,), {})
    asked = []
    pinned = plan.pinned(lambda spec: asked.append(spec.image) or DIGEST)
    assert asked == [TAGGED]
    assert [(spec.image, spec.network) for spec in pinned.specs()] == [(DIGEST, False)]
    (image,) = pinned.variants[0].summary()["DeployedImages"]
    assert (image["SpecifiedImage"], image["ResolvedImage"]) == (TAGGED, DIGEST)
    # What was served is started again after a restart, whatever the tag names then.
    again = PlannedVariant("one", "model", dict(pinned.variants[0].container), 1, 1.0)
    assert again.spec("config", None).image == DIGEST
