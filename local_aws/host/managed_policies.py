"""AWS's managed policies that people attach and ministack does not have, and the refusal of those that nobody knows.

https://docs.aws.amazon.com/aws-managed-policy/latest/reference/policy-list.html

Each has its statements about services that are here; what AWS allows beyond them could not be called. ministack
resolves an unknown policy to no statement at all, so that whoever has it attached is refused everything later on.
"""

import json
from collections.abc import Callable, Mapping
from typing import Any

PRIVATE_PARTS = {
    "ministack.services.iam": (
        "_IAM_HANDLERS",
        "_aws_managed_policies",
        "_error",
        "_make_aws_managed_record",
        "_p",
        "attach_managed_policy",
        "policy_known",
    ),
}

_ATTACHING = ("AttachGroupPolicy", "AttachRolePolicy", "AttachUserPolicy")
_ANY = "*"
_TRAINING_IMAGES = ["ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"]
_ECR_READ = [*_TRAINING_IMAGES, "ecr:GetAuthorizationToken", "ecr:Describe*", "ecr:List*", "ecr:GetRepositoryPolicy"]
_SCALING = [
    f"application-autoscaling:{name}"
    for name in (
        "DeleteScalingPolicy",
        "DeleteScheduledAction",
        "DeregisterScalableTarget",
        "DescribeScalableTargets",
        "DescribeScalingActivities",
        "DescribeScalingPolicies",
        "DescribeScheduledActions",
        "PutScalingPolicy",
        "PutScheduledAction",
        "RegisterScalableTarget",
    )
]
_LOGS = ["logs:CreateLogGroup", "logs:CreateLogStream", "logs:Describe*", "logs:GetLogEvents", "logs:PutLogEvents"]
_READ_METRICS = ["cloudwatch:Describe*", "cloudwatch:Get*", "cloudwatch:List*"]
_READ_LOGS = ["logs:Get*", "logs:List*", "logs:StartQuery", "logs:StopQuery", "logs:Describe*", "logs:FilterLogEvents"]
_NAMED_SAGEMAKER = [f"arn:aws:s3:::*{name}*" for name in ("SageMaker", "Sagemaker", "sagemaker")]


def _allow(sid: str, actions: Any, resources: Any = _ANY, **condition: Any) -> dict[str, Any]:
    statement = {"Sid": sid, "Effect": "Allow", "Action": actions, "Resource": resources}
    return {**statement, "Condition": condition} if condition else statement


# By name, which may have a path.
POLICIES: dict[str, list[dict[str, Any]]] = {
    # https://docs.aws.amazon.com/aws-managed-policy/latest/reference/AmazonSageMakerFullAccess.html
    "AmazonSageMakerFullAccess": [
        {
            "Sid": "AllowAllNonAdminSageMakerActions",
            "Effect": "Allow",
            "Action": "sagemaker:*",
            "NotResource": [
                f"arn:aws:sagemaker:*:*:{kind}/*"
                for kind in ("domain", "user-profile", "app", "space", "flow-definition")
            ],
        },
        _allow(
            "AllowAWSServiceActions",
            [
                *_SCALING,
                *_LOGS,
                *_TRAINING_IMAGES,
                "cloudformation:GetTemplateSummary",
                "cloudwatch:DeleteAlarms",
                "cloudwatch:DescribeAlarms",
                "cloudwatch:GetMetricData",
                "cloudwatch:GetMetricStatistics",
                "cloudwatch:ListMetrics",
                "cloudwatch:PutMetricAlarm",
                "cloudwatch:PutMetricData",
                "ecr:Describe*",
                "ecr:GetAuthorizationToken",
                "iam:ListRoles",
                "kms:DescribeKey",
                "kms:ListAliases",
                "sns:ListTopics",
            ],
        ),
        _allow(
            "AllowS3ObjectActions",
            ["s3:AbortMultipartUpload", "s3:DeleteObject", "s3:GetObject", "s3:PutObject"],
            [*_NAMED_SAGEMAKER, "arn:aws:s3:::*aws-glue*"],
        ),
        _allow(
            "AllowS3GetObjectWithSageMakerExistingObjectTag",
            "s3:GetObject",
            "arn:aws:s3:::*",
            StringEqualsIgnoreCase={"s3:ExistingObjectTag/SageMaker": "true"},
        ),
        _allow(
            "AllowS3BucketActions",
            [
                "s3:CreateBucket",
                "s3:GetBucketCors",
                "s3:GetBucketLocation",
                "s3:ListAllMyBuckets",
                "s3:ListBucket",
                "s3:PutBucketCors",
            ],
        ),
        _allow("AllowS3BucketACL", ["s3:GetBucketAcl", "s3:PutObjectAcl"], _NAMED_SAGEMAKER),
        _allow(
            "AllowCreateServiceLinkedRoleForSageMakerApplicationAutoscaling",
            "iam:CreateServiceLinkedRole",
            "arn:aws:iam::*:role/aws-service-role/sagemaker.application-autoscaling.amazonaws.com/"
            "AWSServiceRoleForApplicationAutoScaling_SageMakerEndpoint",
            StringLike={"iam:AWSServiceName": "sagemaker.application-autoscaling.amazonaws.com"},
        ),
        _allow(
            "AllowSNSActions",
            ["sns:CreateTopic", "sns:Publish", "sns:Subscribe"],
            [f"arn:aws:sns:*:*:*{name}*" for name in ("SageMaker", "Sagemaker", "sagemaker")],
        ),
        _allow(
            "AllowPassRoleToSageMaker",
            "iam:PassRole",
            "arn:aws:iam::*:role/*",
            StringEquals={"iam:PassedToService": "sagemaker.amazonaws.com"},
        ),
    ],
    # https://docs.aws.amazon.com/aws-managed-policy/latest/reference/AmazonSageMakerReadOnly.html
    "AmazonSageMakerReadOnly": [
        _allow(
            "ReadOnly",
            [
                "application-autoscaling:Describe*",
                "cloudwatch:DescribeAlarms",
                "ecr:Describe*",
                "sagemaker:BatchDescribeModelPackage",
                "sagemaker:BatchGetMetrics",
                "sagemaker:Describe*",
                "sagemaker:GetSearchSuggestions",
                "sagemaker:List*",
                "sagemaker:Search",
            ],
        )
    ],
    # https://docs.aws.amazon.com/aws-managed-policy/latest/reference/AmazonEC2ContainerRegistryReadOnly.html
    "AmazonEC2ContainerRegistryReadOnly": [_allow("Read", _ECR_READ)],
    # https://docs.aws.amazon.com/aws-managed-policy/latest/reference/AmazonEC2ContainerRegistryFullAccess.html
    "AmazonEC2ContainerRegistryFullAccess": [_allow("All", "ecr:*")],
    # https://docs.aws.amazon.com/aws-managed-policy/latest/reference/CloudWatchFullAccess.html
    "CloudWatchFullAccess": [_allow("All", ["cloudwatch:*", "logs:*", "sns:*", "iam:GetPolicy", "iam:GetRole"])],
    # https://docs.aws.amazon.com/aws-managed-policy/latest/reference/CloudWatchFullAccessV2.html
    "CloudWatchFullAccessV2": [
        _allow("All", ["application-autoscaling:DescribeScalingPolicies", "cloudwatch:*", "logs:*"]),
        _allow("Topics", ["sns:CreateTopic", "sns:Subscribe", "sns:ListSubscriptions*", "sns:ListTopics"]),
    ],
    # https://docs.aws.amazon.com/aws-managed-policy/latest/reference/CloudWatchReadOnlyAccess.html
    "CloudWatchReadOnlyAccess": [
        _allow(
            "Read",
            [
                "application-autoscaling:DescribeScalingPolicies",
                *_READ_METRICS,
                *_READ_LOGS,
                "sns:Get*",
                "sns:List*",
            ],
        )
    ],
    # https://docs.aws.amazon.com/aws-managed-policy/latest/reference/CloudWatchLogsReadOnlyAccess.html
    "CloudWatchLogsReadOnlyAccess": [_allow("Read", _READ_LOGS)],
    # https://docs.aws.amazon.com/aws-managed-policy/latest/reference/AmazonSNSReadOnlyAccess.html
    "AmazonSNSReadOnlyAccess": [_allow("Read", ["sns:GetTopicAttributes", "sns:List*"])],
    # https://docs.aws.amazon.com/aws-managed-policy/latest/reference/AmazonSQSReadOnlyAccess.html
    "AmazonSQSReadOnlyAccess": [
        _allow("Read", ["sqs:GetQueueAttributes", "sqs:GetQueueUrl", "sqs:List*", "sqs:ListDeadLetterSourceQueues"])
    ],
    # https://docs.aws.amazon.com/aws-managed-policy/latest/reference/AWSLambdaBasicExecutionRole.html
    "service-role/AWSLambdaBasicExecutionRole": [
        _allow("Logs", ["logs:CreateLogGroup", "logs:CreateLogStream", "logs:PutLogEvents"])
    ],
}


def know_policies(modules: Mapping[str, Any]) -> None:
    """Let IAM know POLICIES, and refuse to attach a policy that it does not know.

    https://docs.aws.amazon.com/IAM/latest/APIReference/API_AttachRolePolicy.html, NoSuchEntity

    :param modules: ministack's modules by name
    """
    iam = modules["ministack.services.iam"]
    for name, statements in POLICIES.items():
        document = json.dumps({"Version": "2012-10-17", "Statement": statements})
        record = iam._make_aws_managed_record(name, document, "The statements about services that the local AWS has.")
        iam._aws_managed_policies.setdefault(record["Arn"], record)

    def problem(arn: str) -> str | None:
        return None if iam.policy_known(arn) else f"Policy {arn} does not exist or is not attachable."

    def checked(handle: Callable[[Any], Any]) -> Callable[[Any], Any]:
        def called(parameters: Any) -> Any:
            if wrong := problem(iam._p(parameters, "PolicyArn")):
                return iam._error(404, "NoSuchEntity", wrong, ns="iam")
            return handle(parameters)

        return called

    for action in _ATTACHING:
        iam._IAM_HANDLERS[action] = checked(iam._IAM_HANDLERS[action])
    attach = iam.attach_managed_policy

    def attach_in_stack(holder: dict[str, Any], arn: str) -> None:
        if wrong := problem(arn):
            raise ValueError(
                f'Resource handler returned message: "{wrong} (Service: Iam, Status Code: 404)" '
                "(HandlerErrorCode: NotFound)"
            )
        attach(holder, arn)

    iam.attach_managed_policy = attach_in_stack
