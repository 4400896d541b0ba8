"""Links to CloudFormation."""

from slipway.aws.links import CloudFormationStackLink

STACK_ID = "arn:aws:cloudformation:us-west-2:123456789012:stack/mlops-deploy-iris-model-dev/0a1b"


def test_the_stack_id_is_escaped():
    link = CloudFormationStackLink().format_link(
        region_name="us-west-2", aws_domain="aws.amazon.com", stack_id=STACK_ID
    )
    assert link.startswith("https://console.aws.amazon.com/cloudformation/home?region=us-west-2#/stacks/stackinfo?")
    assert link.endswith("stack%2Fmlops-deploy-iris-model-dev%2F0a1b")
