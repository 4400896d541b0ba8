"""Why there are permissions that no call of the local AWS needs, and why some that AWS's schemas name are missing."""

_PULLING = (
    "SageMaker pulls the image with its [execution roles]"
    "(https://docs.aws.amazon.com/sagemaker/latest/dg/sagemaker-roles.html), which the ledger does not show"
)
_LOGS = (
    "SageMaker's [execution roles](https://docs.aws.amazon.com/sagemaker/latest/dg/sagemaker-roles.html) have it; the "
    "local AWS writes without looking first"
)
_METRICS = (
    "SageMaker puts the metrics of endpoints and instances with its "
    "[execution roles](https://docs.aws.amazon.com/sagemaker/latest/dg/sagemaker-roles.html); the local AWS puts them "
    "by itself"
)
_PARTS = (
    "an upload in [parts](https://docs.aws.amazon.com/AmazonS3/latest/userguide/mpuoverview.html#mpuAndPermissions) "
    "that breaks off is removed; the files here are too small for parts"
)
_NAMES = (
    "the tagging API gives ARNs, with names in small letters: where SageMaker does not know a resource by such a name, "
    "its list is read; `tests/unit/aws/test_tagging.py` shows it"
)
_TAGGING = "https://docs.aws.amazon.com/service-authorization/latest/reference/list_awscloudformation.html"

# The holder's name, the statement's Sid and the action, as patterns → the reason.
REASONS: dict[tuple[str, str, str], str] = {
    ("slipway-cloudformation", "ChangeWhatCarriesOurTag", "sagemaker:UpdateEndpointWeightsAndCapacities"): (
        "whoever registers a variant for scaling "
        "[has to have it](https://docs.aws.amazon.com/sagemaker/latest/dg/endpoint-auto-scaling-prerequisites.html)"
    ),
    ("slipway-airflow", "KeepCopiesOfReleases", "s3:AbortMultipartUpload"): _PARTS,
    ("slipway-build-*", "SeeTheBucket", "s3:*"): (
        "CodeBuild [asks for it](https://docs.aws.amazon.com/codebuild/latest/userguide/setting-up-service-role.html) "
        "where its source or its artifacts are in a bucket; the local AWS does not"
    ),
    ("slipway-build-*", "ReadCheckedSources", "s3:GetObject"): (
        "a person may build the newest copy by hand; Slipway names the copy's version"
    ),
    ("slipway-build-*", "PushTheImage", "ecr:BatchGetImage"): (
        "docker [looks for the manifest](https://docs.aws.amazon.com/AmazonECR/latest/userguide/image-push-iam.html) "
        "before it pushes one; the local AWS's docker does not"
    ),
    ("slipway-airflow", "ChangeTheEndpointStacks", "cloudformation:ContinueUpdateRollback"): (
        "`deployment/stack_operator.py` continues a roll-back that has failed; `tests/unit/deployment` shows it"
    ),
    ("slipway-airflow", "ChangeTheEndpointStacks", "cloudformation:TagResource"): (
        f"stacks are [made with tags]({_TAGGING}); no API call has this name, and the local AWS does not ask for it"
    ),
    ("slipway-airflow", "ListWhatIsThere", "sagemaker:ListEndpointConfigs"): _NAMES,
    ("slipway-airflow", "ListWhatIsThere", "sagemaker:ListModels"): _NAMES,
    ("slipway-airflow", "NotifyInCipher", "kms:*"): (
        "SNS [asks for it](https://docs.aws.amazon.com/sns/latest/dg/sns-key-management.html) when somebody publishes "
        "to a topic with a key of the account; the local AWS encrypts no message"
    ),
    ("slipway-training-*", "KeepCheckpoints", "s3:AbortMultipartUpload"): _PARTS,
    ("slipway-training-*", "KeepCheckpoints", "s3:PutObject"): (
        "SageMaker [copies](https://docs.aws.amazon.com/sagemaker/latest/dg/model-checkpoints-enable.html) what a job "
        "writes; the local AWS's XGBoost writes none, but a test does (`tests/local_aws/host/test_enforcement.py`)"
    ),
    ("slipway-training-*", "WriteArtefact", "s3:AbortMultipartUpload"): _PARTS,
    ("slipway-approver-*", "*", "sagemaker:*"): (
        "a person looks at packages and decides: `tests/local_aws/host/test_approvers.py`"
    ),
    ("slipway-model-administrator", "*", "*"): (
        "a person deploys `model.yaml`: `tests/local_aws/host/test_boundaries.py`"
    ),
    ("slipway-*", "WriteLogs", "logs:DescribeLogStreams"): _LOGS,
    ("slipway-*", "WriteMetrics", "cloudwatch:PutMetricData"): _METRICS,
    ("slipway-*", "LogInToRegistry", "ecr:*"): _PULLING,
    ("slipway-*", "PullImage", "ecr:*"): _PULLING,
    ("slipway-*", "PullOtherImages", "ecr:*"): _PULLING,
}

# The logical id of a policy, or of a key, and the Sid → why the statement is there, and what shows it.
OF_RESOURCES: dict[tuple[str, str], str] = {
    ("BucketPolicy", "TlsOnly"): ("nothing is read or written without TLS, which the local AWS takes the loopback for"),
    ("BucketPolicy", "OnlyAirflowWritesReleases"): (
        "what was approved is below `releases/`; an administrator's PutObject is denied in "
        "`tests/local_aws/host/test_enforcement.py`"
    ),
    ("UploadQueuePolicy", "NotifyOfUploads"): "S3 delivers notifications of uploads: uploads are noticed",
    ("TopicKey", "LeaveItToTheAccountsPolicies"): (
        "without it the policies of roles [would not count]"
        "(https://docs.aws.amazon.com/kms/latest/developerguide/key-policy-default.html) for this key"
    ),
    ("TopicKey", "LetAlarmsTell"): (
        "CloudWatch encrypts what it [publishes](https://docs.aws.amazon.com/sns/latest/dg/sns-key-management.html)"
    ),
    ("TopicPolicy", "LetAlarmsTell"): "CloudWatch publishes to the topic for alarms `slipway-*` and for no others",
}

# What AWS's schemas of endpoint.yaml's resource types name and no role has → why it is not needed.
MISSING: dict[str, str] = {
    "cloudwatch:GetMetricData": "of scaling policies: only predictive ones need it, and `endpoint.yaml` has none",
    "kms:DescribeKey": "of endpoint configurations: only with a key of yours, and its [grants](aws-account.md)",
    "lambda:*": "of scalable targets: only those of Lambda functions",
}
