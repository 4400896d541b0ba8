"""Calls of the roles of bootstrap.yaml and model.yaml: those that releases make, and those that nobody may make.

The context keys are those that AWS documents for each action:
https://docs.aws.amazon.com/service-authorization/latest/reference/reference_policies_actions-resources-contextkeys.html
"""

from slipway import names
from slipway.command.set_up import endpoint_template_key
from slipway.states import Environment
from tools.settings import ACCOUNT, REGION

BUCKET = f"mlops-{REGION}-{ACCOUNT}"
MODEL, OTHER = "iris-model", "wine-model"
JOB = f"mlops-{MODEL}-2026-01-31-23-59-59-00112233"
SAGEMAKER = f"arn:aws:sagemaker:{REGION}:{ACCOUNT}"
STACK = f"arn:aws:cloudformation:{REGION}:{ACCOUNT}:stack/{names.stack_name(MODEL, Environment.PRODUCTION)}/1"
OBJECTS = f"arn:aws:s3:::{BUCKET}"
URL = f"https://s3.{REGION}.amazonaws.com/{BUCKET}/{endpoint_template_key()}"
TAG = {"slipway:model-prefix": MODEL}
REQUEST_TAG = {f"aws:RequestTag/{key}": value for key, value in TAG.items()}
RESOURCE_TAG = {f"aws:ResourceTag/{key}": value for key, value in TAG.items()}


def role(name: str) -> str:
    return f"arn:aws:iam::{ACCOUNT}:role/{name}"


AIRFLOW, CLOUDFORMATION = role("slipway-airflow"), role("slipway-cloudformation")
TRAINING, ENDPOINT = role(names.training_role(MODEL)), role(names.endpoint_role(MODEL))
# The model that has an image of its own.
FOREST = "iris-forest"
BUILD = role(f"slipway-build-{FOREST}")
SOURCES = f"{OBJECTS}/releases/{FOREST}/images/0a"
PROJECT = f"arn:aws:codebuild:{REGION}:{ACCOUNT}:project/mlops-buildimage-{FOREST}"
BUILD_LOG = f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:/aws/codebuild/mlops-buildimage-{FOREST}"
CHANGE_SET = {"cloudformation:TemplateUrl": URL, "cloudformation:RoleArn": CLOUDFORMATION, **REQUEST_TAG}
PULL = "ecr:BatchGetImage"


def image(account: str, repository: str, region: str = REGION) -> str:
    return f"arn:aws:ecr:{region}:{account}:repository/{repository}"


def passing(service: str) -> dict[str, str]:
    return {"iam:PassedToService": f"{service}.amazonaws.com"}


def alarm(name: str) -> str:
    return f"arn:aws:cloudwatch:{REGION}:{ACCOUNT}:alarm:{name}"


DASHBOARD = f"arn:aws:cloudwatch::{ACCOUNT}:dashboard/slipway-e"


def log(group: str) -> str:
    return f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:/aws/sagemaker/{group}"


TARGET = f"arn:aws:application-autoscaling:{REGION}:{ACCOUNT}:scalable-target/0a"
NAMESPACE = "application-autoscaling:service-namespace"
SERVICE_ROLE = role("aws-service-role/sagemaker.application-autoscaling.amazonaws.com/")
SERVICE_ROLE += "AWSServiceRoleForApplicationAutoScaling_SageMakerEndpoint"

# Who, the call, on what, with which context.
Call = tuple[str, str, str, dict]
ALLOWED: dict[str, Call] = {
    "train: log": (TRAINING, "logs:PutLogEvents", log("TrainingJobs:log-stream:1"), {}),
    "train: measure": (
        TRAINING,
        "cloudwatch:PutMetricData",
        "*",
        {"cloudwatch:namespace": "/aws/sagemaker/TrainingJobs"},
    ),
    "train: log in to the registry": (TRAINING, "ecr:GetAuthorizationToken", "*", {}),
    "host: log": (ENDPOINT, "logs:PutLogEvents", log("Endpoints/iris-model-production:log-stream:1"), {}),
    "host: measure": (ENDPOINT, "cloudwatch:PutMetricData", "*", {"cloudwatch:namespace": "/aws/sagemaker/Endpoints"}),
    "host: log in to the registry": (ENDPOINT, "ecr:GetAuthorizationToken", "*", {}),
    "host: watch an update": (ENDPOINT, "cloudwatch:DescribeAlarms", alarm("slipway-iris-5xx"), {}),
    "notice uploads": (AIRFLOW, "s3:ListBucketVersions", OBJECTS, {}),
    "read the zip": (AIRFLOW, "s3:GetObjectVersion", f"{OBJECTS}/training_jobs/{MODEL}/trainingjob.zip", {}),
    "read what was captured": (AIRFLOW, "s3:GetObject", f"{OBJECTS}/{MODEL}/monitoring/prd/1.jsonl", {}),
    "keep a stress report": (AIRFLOW, "s3:PutObject", f"{OBJECTS}/stress/{MODEL}/run/report.html", {}),
    "collect an artefact": (AIRFLOW, "s3:DeleteObject", f"{OBJECTS}/{MODEL}/{JOB}/output/model.tar.gz", {}),
    "follow a job": (AIRFLOW, "sagemaker:DescribeTrainingJob", f"{SAGEMAKER}:training-job/{JOB}", {}),
    "ask an endpoint": (AIRFLOW, "sagemaker:InvokeEndpoint", f"{SAGEMAKER}:endpoint/e", {}),
    "move a trial's weights": (
        AIRFLOW,
        "sagemaker:UpdateEndpointWeightsAndCapacities",
        f"{SAGEMAKER}:endpoint/e",
        RESOURCE_TAG,
    ),
    "list models": (AIRFLOW, "sagemaker:ListModels", "*", {}),
    "find what carries the tag": (AIRFLOW, "tag:GetResources", "*", {}),
    "deregister a variant": (
        AIRFLOW,
        "application-autoscaling:DeregisterScalableTarget",
        TARGET,
        {NAMESPACE: "sagemaker"},
    ),
    "see scaling": (AIRFLOW, "application-autoscaling:DescribeScalingActivities", "*", {}),
    "see scaling policies": (AIRFLOW, "application-autoscaling:DescribeScalingPolicies", "*", {}),
    "see scheduled actions": (AIRFLOW, "application-autoscaling:DescribeScheduledActions", "*", {}),
    "read a job's log": (AIRFLOW, "logs:GetLogEvents", log("TrainingJobs:log-stream:1"), {}),
    "hear of uploads": (AIRFLOW, "sqs:ReceiveMessage", f"arn:aws:sqs:{REGION}:{ACCOUNT}:slipway-uploads", {}),
    "say which alarm went off": (AIRFLOW, "cloudwatch:DescribeAlarmHistory", alarm("slipway-iris-5xx"), {}),
    "find alarms": (AIRFLOW, "cloudwatch:DescribeAlarms", alarm("*"), {}),
    "read metrics": (AIRFLOW, "cloudwatch:GetMetricData", "*", {}),
    "notify": (AIRFLOW, "sns:Publish", f"arn:aws:sns:{REGION}:{ACCOUNT}:slipway-releases", {}),
    "see an endpoint": (CLOUDFORMATION, "sagemaker:DescribeEndpoint", f"{SAGEMAKER}:endpoint/e", {}),
    "scale a variant": (
        CLOUDFORMATION,
        "application-autoscaling:RegisterScalableTarget",
        TARGET,
        {NAMESPACE: "sagemaker"},
    ),
    "tag a scalable target": (CLOUDFORMATION, "application-autoscaling:TagResource", TARGET, {}),
    "see scalable targets": (CLOUDFORMATION, "application-autoscaling:DescribeScalableTargets", "*", {}),
    "alarms of target tracking": (CLOUDFORMATION, "cloudwatch:PutMetricAlarm", alarm("TargetTracking-e"), {}),
    "alarms of endpoints": (CLOUDFORMATION, "cloudwatch:PutMetricAlarm", alarm("slipway-iris-5xx"), {}),
    "a dashboard": (CLOUDFORMATION, "cloudwatch:PutDashboard", DASHBOARD, {}),
    "tag a dashboard": (CLOUDFORMATION, "cloudwatch:TagResource", DASHBOARD, {}),
    "the service-linked role": (
        CLOUDFORMATION,
        "iam:CreateServiceLinkedRole",
        SERVICE_ROLE,
        {"iam:AWSServiceName": "sagemaker.application-autoscaling.amazonaws.com"},
    ),
    "build: read the checked copy": (BUILD, "s3:GetObjectVersion", f"{SOURCES}/image.zip", {}),
    "build: leave the list of packages": (BUILD, "s3:PutObject", f"{OBJECTS}/{FOREST}/images/src-0a/packages.json", {}),
    "build: leave Debian's": (BUILD, "s3:PutObject", f"{OBJECTS}/{FOREST}/images/src-0a/packages.debian", {}),
    "collect a list of packages": (AIRFLOW, "s3:DeleteObject", f"{OBJECTS}/{FOREST}/images/src-0a/packages.json", {}),
    "collect Debian's": (AIRFLOW, "s3:DeleteObject", f"{OBJECTS}/{FOREST}/images/src-0a/packages.debian", {}),
    "build: log in to the registry": (BUILD, "ecr:GetAuthorizationToken", "*", {}),
    "build: see the bucket": (BUILD, "s3:GetBucketLocation", OBJECTS, {}),
    "build: push": (BUILD, "ecr:PutImage", image(ACCOUNT, f"mlops-{FOREST}"), {}),
    "build: log": (BUILD, "logs:CreateLogStream", BUILD_LOG, {}),
    "build: write the log": (BUILD, "logs:PutLogEvents", f"{BUILD_LOG}:log-stream:1", {}),
    "start a build": (AIRFLOW, "codebuild:StartBuild", PROJECT, {}),
    "stop a build": (AIRFLOW, "codebuild:StopBuild", PROJECT, {}),
    "find builds": (AIRFLOW, "codebuild:ListBuilds", "*", {}),
    "read a build's log": (AIRFLOW, "logs:GetLogEvents", f"{BUILD_LOG}:log-stream:1", {}),
    "look at a scan": (AIRFLOW, "ecr:DescribeImageScanFindings", image(ACCOUNT, f"mlops-{MODEL}"), {}),
    "look for an image that only a zip names": (AIRFLOW, "ecr:DescribeImages", image(ACCOUNT, f"{MODEL}/mine"), {}),
    "read an image's source": (AIRFLOW, "s3:GetObjectVersion", f"{OBJECTS}/image_builds/{MODEL}/image.zip", {}),
    "train: the image that was built": (TRAINING, PULL, image(ACCOUNT, f"mlops-{MODEL}"), {}),
    "host: the image that was built": (ENDPOINT, PULL, image(ACCOUNT, f"mlops-{MODEL}"), {}),
    "train: read the data": (TRAINING, "s3:GetObject", f"{OBJECTS}/{MODEL}/input/train/part.csv", {}),
    "train: list the data": (TRAINING, "s3:ListBucket", OBJECTS, {"s3:prefix": f"{MODEL}/input/train"}),
    "train: write the artefact": (TRAINING, "s3:PutObject", f"{OBJECTS}/{MODEL}/{JOB}/output/model.tar.gz", {}),
    "train: list checkpoints": (TRAINING, "s3:ListBucket", OBJECTS, {"s3:prefix": f"{MODEL}/checkpoints/"}),
    "train: go on from a checkpoint": (TRAINING, "s3:GetObject", f"{OBJECTS}/{MODEL}/checkpoints/1.pt", {}),
    "train: write a checkpoint": (TRAINING, "s3:PutObject", f"{OBJECTS}/{MODEL}/checkpoints/1.pt", {}),
    "train: AWS's image": (TRAINING, PULL, image("246618743249", "sagemaker-xgboost"), {}),
    "train: the model's own image": (TRAINING, PULL, image(ACCOUNT, MODEL), {}),
    "host: read Slipway's copy": (ENDPOINT, "s3:GetObject", f"{OBJECTS}/releases/{MODEL}/0a/model.tar.gz", {}),
    "host: capture": (ENDPOINT, "s3:PutObject", f"{OBJECTS}/{MODEL}/monitoring/prd/1.jsonl", {}),
    "host: AWS's image": (ENDPOINT, PULL, image("246618743249", "sagemaker-xgboost"), {}),
    "start a job": (AIRFLOW, "sagemaker:CreateTrainingJob", f"{SAGEMAKER}:training-job/{JOB}", REQUEST_TAG),
    "pass the training role": (AIRFLOW, "iam:PassRole", TRAINING, passing("sagemaker")),
    "make the group": (
        AIRFLOW,
        "sagemaker:CreateModelPackageGroup",
        f"{SAGEMAKER}:model-package-group/mlops-{MODEL}",
        REQUEST_TAG,
    ),
    "register": (
        AIRFLOW,
        "sagemaker:CreateModelPackage",
        f"{SAGEMAKER}:model-package/mlops-{MODEL}/1",
        {"sagemaker:ModelApprovalStatus": "PendingManualApproval"},
    ),
    "record a decision": (
        AIRFLOW,
        "sagemaker:UpdateModelPackage",
        f"{SAGEMAKER}:model-package/mlops-{MODEL}/1",
        {"sagemaker:ModelApprovalStatus": "Approved"},
    ),
    "keep a copy": (AIRFLOW, "s3:PutObject", f"{OBJECTS}/releases/{MODEL}/0a/model.tar.gz", {}),
    "read the template": (AIRFLOW, "s3:GetObject", f"{OBJECTS}/{endpoint_template_key()}", {}),
    "ask for a change set": (AIRFLOW, "cloudformation:CreateChangeSet", STACK, CHANGE_SET),
    "look for drift": (AIRFLOW, "cloudformation:DetectStackDrift", STACK, {}),
    "look for drift of a resource": (AIRFLOW, "cloudformation:DetectStackResourceDrift", STACK, {}),
    "follow the detection": (AIRFLOW, "cloudformation:DescribeStackDriftDetectionStatus", "*", {}),
    "read what has drifted": (AIRFLOW, "cloudformation:DescribeStackResourceDrifts", STACK, {}),
    "drift: tags of a target": (AIRFLOW, "application-autoscaling:ListTagsForResource", TARGET, {}),
    "drift: tags of an alarm": (AIRFLOW, "cloudwatch:ListTagsForResource", alarm("slipway-iris-5xx"), {}),
    "drift: a dashboard": (AIRFLOW, "cloudwatch:GetDashboard", DASHBOARD, {}),
    "drift: tags of a dashboard": (AIRFLOW, "cloudwatch:ListTagsForResource", DASHBOARD, {}),
    "drift: a model": (AIRFLOW, "sagemaker:DescribeModel", f"{SAGEMAKER}:model/m", {}),
    "drift: tags of an endpoint": (AIRFLOW, "sagemaker:ListTags", f"{SAGEMAKER}:endpoint/e", {}),
    "execute it": (AIRFLOW, "cloudformation:ExecuteChangeSet", STACK, {}),
    "pass CloudFormation's role": (AIRFLOW, "iam:PassRole", CLOUDFORMATION, passing("cloudformation")),
    "remove a left-over": (AIRFLOW, "sagemaker:DeleteModel", f"{SAGEMAKER}:model/m", RESOURCE_TAG),
    "make a model": (CLOUDFORMATION, "sagemaker:CreateModel", f"{SAGEMAKER}:model/m", REQUEST_TAG),
    "make a configuration": (
        CLOUDFORMATION,
        "sagemaker:CreateEndpointConfig",
        f"{SAGEMAKER}:endpoint-config/c",
        REQUEST_TAG,
    ),
    "make an endpoint": (CLOUDFORMATION, "sagemaker:CreateEndpoint", f"{SAGEMAKER}:endpoint/e", REQUEST_TAG),
    "serve a configuration": (
        CLOUDFORMATION,
        "sagemaker:CreateEndpoint",
        f"{SAGEMAKER}:endpoint-config/c",
        RESOURCE_TAG,
    ),
    "tag what is made": (
        CLOUDFORMATION,
        "sagemaker:AddTags",
        f"{SAGEMAKER}:endpoint/e",
        {"sagemaker:TaggingAction": "CreateEndpoint", **REQUEST_TAG},
    ),
    "change the tags of a release": (CLOUDFORMATION, "sagemaker:AddTags", f"{SAGEMAKER}:endpoint/e", RESOURCE_TAG),
    "move an endpoint over": (CLOUDFORMATION, "sagemaker:UpdateEndpoint", f"{SAGEMAKER}:endpoint/e", RESOURCE_TAG),
    "pass the hosting role": (CLOUDFORMATION, "iam:PassRole", ENDPOINT, passing("sagemaker")),
}
DENIED: dict[str, Call] = {
    "drift of another stack": (AIRFLOW, "cloudformation:DetectStackDrift", STACK.replace("mlops-deploy", "other"), {}),
    "Airflow tags a dashboard": (AIRFLOW, "cloudwatch:TagResource", DASHBOARD, {}),
    "Airflow makes a dashboard": (AIRFLOW, "cloudwatch:PutDashboard", DASHBOARD, {}),
    "a stranger's dashboard": (AIRFLOW, "cloudwatch:GetDashboard", DASHBOARD.replace("slipway-", "other-"), {}),
    "train: another metric": (TRAINING, "cloudwatch:PutMetricData", "*", {"cloudwatch:namespace": "Billing"}),
    "train: another log": (TRAINING, "logs:PutLogEvents", log("Endpoints/e:log-stream:1"), {}),
    "host: another metric": (ENDPOINT, "cloudwatch:PutMetricData", "*", {"cloudwatch:namespace": "Billing"}),
    "a stranger's weights": (
        AIRFLOW,
        "sagemaker:UpdateEndpointWeightsAndCapacities",
        f"{SAGEMAKER}:endpoint/e",
        {},
    ),
    "a stranger's model": (AIRFLOW, "sagemaker:DeleteModel", f"{SAGEMAKER}:model/m", {}),
    "the versions of an artefact": (
        AIRFLOW,
        "s3:DeleteObjectVersion",
        f"{OBJECTS}/{MODEL}/{JOB}/output/model.tar.gz",
        {},
    ),
    "deregister a table": (
        AIRFLOW,
        "application-autoscaling:DeregisterScalableTarget",
        TARGET,
        {NAMESPACE: "dynamodb"},
    ),
    "scale a table": (
        CLOUDFORMATION,
        "application-autoscaling:RegisterScalableTarget",
        TARGET,
        {NAMESPACE: "dynamodb"},
    ),
    "pass a hosting role elsewhere": (CLOUDFORMATION, "iam:PassRole", ENDPOINT, passing("ec2")),
    "another service's role": (
        CLOUDFORMATION,
        "iam:CreateServiceLinkedRole",
        SERVICE_ROLE,
        {"iam:AWSServiceName": "ecs.application-autoscaling.amazonaws.com"},
    ),
    "build: an upload that nobody has checked": (
        BUILD,
        "s3:GetObjectVersion",
        f"{OBJECTS}/image_builds/{FOREST}/image.zip",
        {},
    ),
    "build: another model's source": (
        BUILD,
        "s3:GetObject",
        f"{OBJECTS}/releases/{OTHER}/images/0a/image.zip",
        {},
    ),
    "build: the model's data": (BUILD, "s3:GetObject", f"{OBJECTS}/{FOREST}/input/train/part.csv", {}),
    "build: a registered model": (BUILD, "s3:GetObject", f"{OBJECTS}/releases/{FOREST}/0a/model.tar.gz", {}),
    "build: write a copy": (BUILD, "s3:PutObject", f"{SOURCES}/image.zip", {}),
    "build: push to another model": (BUILD, "ecr:PutImage", image(ACCOUNT, f"mlops-{OTHER}"), {}),
    "build: delete an image": (BUILD, "ecr:BatchDeleteImage", image(ACCOUNT, f"mlops-{FOREST}"), {}),
    "build: another log": (BUILD, "logs:PutLogEvents", f"{BUILD_LOG}-2:log-stream:1", {}),
    "build: start a build": (BUILD, "codebuild:StartBuild", PROJECT, {}),
    "a stranger's project": (AIRFLOW, "codebuild:StartBuild", PROJECT.replace("mlops-", "other-"), {}),
    "Airflow changes the project": (AIRFLOW, "codebuild:UpdateProject", PROJECT, {}),
    "a stranger's images": (AIRFLOW, "ecr:DescribeImages", image("999999999999", f"mlops-{MODEL}"), {}),
    "Airflow pushes an image": (AIRFLOW, "ecr:PutImage", image(ACCOUNT, f"mlops-{MODEL}"), {}),
    "Airflow deletes an image": (AIRFLOW, "ecr:BatchDeleteImage", image(ACCOUNT, f"mlops-{MODEL}"), {}),
    "train: push an image": (TRAINING, "ecr:PutImage", image(ACCOUNT, f"mlops-{MODEL}"), {}),
    "train: another model's data": (TRAINING, "s3:GetObject", f"{OBJECTS}/{OTHER}/input/train/part.csv", {}),
    "train: list another model's data": (TRAINING, "s3:ListBucket", OBJECTS, {"s3:prefix": f"{OTHER}/input/train"}),
    "train: another model's checkpoints": (TRAINING, "s3:GetObject", f"{OBJECTS}/{OTHER}/checkpoints/1.pt", {}),
    "train: overwrite them": (TRAINING, "s3:PutObject", f"{OBJECTS}/{OTHER}/checkpoints/1.pt", {}),
    "train: all there is": (TRAINING, "s3:ListBucket", OBJECTS, {"s3:prefix": f"{MODEL}/"}),
    "train: a longer name": (TRAINING, "s3:GetObject", f"{OBJECTS}/{MODEL}-2/input/train/part.csv", {}),
    "train: another model's artefact": (
        TRAINING,
        "s3:PutObject",
        f"{OBJECTS}/{OTHER}/mlops-{OTHER}-1/output/model.tar.gz",
        {},
    ),
    "train: another model's folder in its own": (
        TRAINING,
        "s3:PutObject",
        f"{OBJECTS}/{MODEL}/mlops-{OTHER}-1/output/model.tar.gz",
        {},
    ),
    "train: what is registered": (TRAINING, "s3:PutObject", f"{OBJECTS}/releases/{MODEL}/0a/model.tar.gz", {}),
    "train: its own data": (TRAINING, "s3:PutObject", f"{OBJECTS}/{MODEL}/input/train/part.csv", {}),
    "train: a zip": (TRAINING, "s3:PutObject", f"{OBJECTS}/training_jobs/{MODEL}/trainingjob.zip", {}),
    "train: the template": (TRAINING, "s3:PutObject", f"{OBJECTS}/templates/endpoint-0011223344556677.yaml", {}),
    "train: a stranger's image": (TRAINING, PULL, image("999999999999", "sagemaker-xgboost"), {}),
    "train: another model's image": (TRAINING, PULL, image(ACCOUNT, OTHER), {}),
    "train: AWS's registry of another region": (TRAINING, PULL, image("683313688378", "sagemaker-xgboost"), {}),
    "train: approve": (TRAINING, "sagemaker:UpdateModelPackage", f"{SAGEMAKER}:model-package/mlops-{MODEL}/1", {}),
    "host: what a job has written": (ENDPOINT, "s3:GetObject", f"{OBJECTS}/{MODEL}/{JOB}/output/model.tar.gz", {}),
    "host: another model's copy": (ENDPOINT, "s3:GetObject", f"{OBJECTS}/releases/{OTHER}/0a/model.tar.gz", {}),
    "host: the zip": (ENDPOINT, "s3:GetObject", f"{OBJECTS}/releases/{MODEL}/0a/trainingjob.zip", {}),
    "host: another model's captured traffic": (
        ENDPOINT,
        "s3:PutObject",
        f"{OBJECTS}/{OTHER}/monitoring/prd/1.jsonl",
        {},
    ),
    "host: the artefact it serves": (ENDPOINT, "s3:PutObject", f"{OBJECTS}/{MODEL}/{JOB}/output/model.tar.gz", {}),
    "host: a stranger's image": (ENDPOINT, PULL, image("999999999999", "sagemaker-xgboost"), {}),
    "host: approve": (ENDPOINT, "sagemaker:UpdateModelPackage", f"{SAGEMAKER}:model-package/mlops-{MODEL}/1", {}),
    "an untagged job": (AIRFLOW, "sagemaker:CreateTrainingJob", f"{SAGEMAKER}:training-job/{JOB}", {}),
    "a job of another name": (AIRFLOW, "sagemaker:CreateTrainingJob", f"{SAGEMAKER}:training-job/x", REQUEST_TAG),
    "an untagged group": (
        AIRFLOW,
        "sagemaker:CreateModelPackageGroup",
        f"{SAGEMAKER}:model-package-group/mlops-{MODEL}",
        {},
    ),
    "register as approved": (
        AIRFLOW,
        "sagemaker:CreateModelPackage",
        f"{SAGEMAKER}:model-package/mlops-{MODEL}/1",
        {"sagemaker:ModelApprovalStatus": "Approved"},
    ),
    "decide about a stranger's package": (
        AIRFLOW,
        "sagemaker:UpdateModelPackage",
        f"{SAGEMAKER}:model-package/another-team/1",
        {"sagemaker:ModelApprovalStatus": "Approved"},
    ),
    "Airflow makes a model": (AIRFLOW, "sagemaker:CreateModel", f"{SAGEMAKER}:model/m", REQUEST_TAG),
    "Airflow makes an endpoint": (AIRFLOW, "sagemaker:CreateEndpoint", f"{SAGEMAKER}:endpoint/e", REQUEST_TAG),
    "Airflow moves an endpoint": (AIRFLOW, "sagemaker:UpdateEndpoint", f"{SAGEMAKER}:endpoint/e", RESOURCE_TAG),
    "Airflow writes the template": (AIRFLOW, "s3:PutObject", f"{OBJECTS}/templates/endpoint-00112233.yaml", {}),
    "Airflow writes data": (AIRFLOW, "s3:PutObject", f"{OBJECTS}/{MODEL}/input/train/part.csv", {}),
    "a body of its own": (
        AIRFLOW,
        "cloudformation:CreateChangeSet",
        STACK,
        {key: value for key, value in CHANGE_SET.items() if key != "cloudformation:TemplateUrl"},
    ),
    **{
        f"a template elsewhere: {url.removeprefix('https://')}": (
            AIRFLOW,
            "cloudformation:CreateChangeSet",
            STACK,
            {**CHANGE_SET, "cloudformation:TemplateUrl": url},
        )
        for url in (
            f"https://s3.{REGION}.amazonaws.com/{BUCKET}/releases/evil.yaml",
            f"https://s3.{REGION}.amazonaws.com/{BUCKET}/templates/endpoint-0011223344556677.yaml",
            f"https://s3.{REGION}.amazonaws.com/{BUCKET}/templates/endpoint-/../../releases/.yaml",
            f"https://s3.{REGION}.amazonaws.com/elsewhere/templates/endpoint-0011223344556677.yaml",
        )
    },
    "a change set under another role": (
        AIRFLOW,
        "cloudformation:CreateChangeSet",
        STACK,
        {**CHANGE_SET, "cloudformation:RoleArn": role("admin")},
    ),
    "a change set under Airflow's own rights": (
        AIRFLOW,
        "cloudformation:CreateChangeSet",
        STACK,
        {key: value for key, value in CHANGE_SET.items() if key != "cloudformation:RoleArn"},
    ),
    "an untagged stack": (
        AIRFLOW,
        "cloudformation:CreateChangeSet",
        STACK,
        {key: value for key, value in CHANGE_SET.items() if key not in REQUEST_TAG},
    ),
    "an import": (
        AIRFLOW,
        "cloudformation:CreateChangeSet",
        STACK,
        {**CHANGE_SET, "cloudformation:ImportResourceTypes": ["AWS::SageMaker::Endpoint"]},
    ),
    "a stack without a change set": (AIRFLOW, "cloudformation:UpdateStack", STACK, CHANGE_SET),
    "another team's stack": (
        AIRFLOW,
        "cloudformation:CreateChangeSet",
        f"arn:aws:cloudformation:{REGION}:{ACCOUNT}:stack/billing/1",
        CHANGE_SET,
    ),
    "the set-up stack": (
        AIRFLOW,
        "cloudformation:ExecuteChangeSet",
        f"arn:aws:cloudformation:{REGION}:{ACCOUNT}:stack/slipway-bootstrap/1",
        {},
    ),
    "Airflow passes itself": (AIRFLOW, "iam:PassRole", AIRFLOW, passing("cloudformation")),
    "Airflow passes an administrator": (AIRFLOW, "iam:PassRole", role("admin"), passing("sagemaker")),
    "Airflow passes CloudFormation's role to a job": (AIRFLOW, "iam:PassRole", CLOUDFORMATION, passing("sagemaker")),
    "Airflow passes a hosting role": (AIRFLOW, "iam:PassRole", ENDPOINT, passing("sagemaker")),
    "Airflow passes a training role elsewhere": (AIRFLOW, "iam:PassRole", TRAINING, passing("ec2")),
    "Airflow changes a role": (AIRFLOW, "iam:PutRolePolicy", TRAINING, {}),
    "an untagged model": (CLOUDFORMATION, "sagemaker:CreateModel", f"{SAGEMAKER}:model/m", {}),
    "a model whose tag is empty": (
        CLOUDFORMATION,
        "sagemaker:CreateModel",
        f"{SAGEMAKER}:model/m",
        dict.fromkeys(REQUEST_TAG, ""),
    ),
    "an untagged configuration": (
        CLOUDFORMATION,
        "sagemaker:CreateEndpointConfig",
        f"{SAGEMAKER}:endpoint-config/c",
        {},
    ),
    "an untagged endpoint": (CLOUDFORMATION, "sagemaker:CreateEndpoint", f"{SAGEMAKER}:endpoint/e", {}),
    "an endpoint of a stranger's configuration": (
        CLOUDFORMATION,
        "sagemaker:CreateEndpoint",
        f"{SAGEMAKER}:endpoint-config/c",
        {},
    ),
    "an endpoint with our tag of a stranger's configuration": (
        CLOUDFORMATION,
        "sagemaker:CreateEndpoint",
        f"{SAGEMAKER}:endpoint-config/c",
        REQUEST_TAG,
    ),
    "a stranger's endpoint": (CLOUDFORMATION, "sagemaker:UpdateEndpoint", f"{SAGEMAKER}:endpoint/e", {}),
    "make a stranger's endpoint ours": (CLOUDFORMATION, "sagemaker:AddTags", f"{SAGEMAKER}:endpoint/e", REQUEST_TAG),
    "CloudFormation passes a training role": (CLOUDFORMATION, "iam:PassRole", TRAINING, passing("sagemaker")),
    "CloudFormation passes an administrator": (CLOUDFORMATION, "iam:PassRole", role("admin"), passing("sagemaker")),
    "CloudFormation makes a role": (CLOUDFORMATION, "iam:CreateRole", role("x"), {}),
    "CloudFormation approves": (
        CLOUDFORMATION,
        "sagemaker:UpdateModelPackage",
        f"{SAGEMAKER}:model-package/mlops-{MODEL}/1",
        {},
    ),
}
