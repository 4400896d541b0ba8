"""Templates and properties that CloudFormation refuses, and ministack alone does not: each with its page.

AWS's pages describe what a template may hold; some of the texts are shown only where people met them.
"""

from __future__ import annotations

import json
from typing import Any

from tests.local_aws.refusals import CFN, DOCS, TOPIC, Case, create, ended, events, made, template
from tests.local_aws.server import LocalAws

_ANATOMY = f"{CFN}/UserGuide/template-anatomy.html"
_RESOURCES = f"{CFN}/UserGuide/resources-section-structure.html"
_CONDITIONS = f"{CFN}/UserGuide/conditions-section-structure.html"
_PARAMETERS = f"{CFN}/UserGuide/parameters-section-structure.html"
_OUTPUTS = f"{CFN}/UserGuide/outputs-section-structure.html"
_FUNCTIONS = f"{CFN}/TemplateReference/intrinsic-function-reference.html"
_DELETION = f"{CFN}/TemplateReference/aws-attribute-deletionpolicy.html"
_SCHEMA = f"{DOCS}/cloudformation-cli/latest/userguide/resource-type-schema.html"
_FORMAT = "ValidationError: Template format error: "
_SECOND = {"Second": {"Type": "AWS::SNS::Topic", "Properties": {"TopicName": {"Fn::GetAtt": ["Topic", "TopicName"]}}}}


def _topic(**members: Any) -> dict[str, Any]:
    return {"Topic": {"Type": "AWS::SNS::Topic", **members}}


def _named(name: Any) -> str:
    return template(_topic(Properties={"TopicName": name}))


def _condition(condition: Any) -> str:
    return template(TOPIC, Conditions={"Wanted": condition})


_TEMPLATES: list[tuple[str, str, str, str]] = [
    (
        "a section that does not exist",
        template(TOPIC, Nope={}),
        "ValidationError: Invalid template property or properties [Nope]",
        _ANATOMY,
    ),
    (
        "another format version",
        template(TOPIC, AWSTemplateFormatVersion="2011-01-01"),
        f"{_FORMAT}unsupported value for AWSTemplateFormatVersion.",
        _ANATOMY,
    ),
    (
        "a description that is no text",
        template(TOPIC, Description={"a": 1}),
        f"{_FORMAT}Description must be a string.",
        _ANATOMY,
    ),
    ("a template that is a text", '"text"', f"{_FORMAT}unsupported structure.", _ANATOMY),
    ("JSON that ends early", '{"Resources": ', f"{_FORMAT}JSON not well-formed. (line 1, column *)", _ANATOMY),
    ("YAML that ends early", "Resources: [", f"{_FORMAT}YAML not well-formed. (line 1, column 13)", _ANATOMY),
    ("Resources that are a list", json.dumps({"Resources": [1]}), f"{_FORMAT}[/Resources] *", _RESOURCES),
    (
        "a resource that is null",
        template({"Topic": None}),
        f"{_FORMAT}[/Resources/Topic] 'null' values are not allowed in templates",
        _RESOURCES,
    ),
    (
        "a resource that is a text",
        template({"Topic": "text"}),
        f"{_FORMAT}*Any Resources member must be an object.",
        _RESOURCES,
    ),
    (
        "a resource without a type",
        template({"Topic": {"Properties": {}}}),
        f"{_FORMAT}*Every Resources object must contain a Type member.",
        _RESOURCES,
    ),
    (
        "a resource with an unknown attribute",
        template(_topic(Nope="1")),
        "ValidationError: Invalid template resource property 'Nope'",
        _RESOURCES,
    ),
    (
        "properties that are a list",
        template(_topic(Properties=[])),
        f"{_FORMAT}*Any Properties member must be an object.",
        _RESOURCES,
    ),
    (
        "a property that is null",
        _named(None),
        f"{_FORMAT}[/Resources/Topic/Properties/TopicName] 'null' values are not allowed in templates",
        _RESOURCES,
    ),
    (
        "a logical id with a dash",
        template({"A-B": {"Type": "AWS::SNS::Topic"}}),
        f"{_FORMAT}Resource name A-B is non alphanumeric.",
        _RESOURCES,
    ),
    (
        "a DependsOn that is a number",
        template(_topic(DependsOn=5)),
        f"{_FORMAT}*Every DependsOn value must be a string.",
        f"{CFN}/TemplateReference/aws-attribute-dependson.html",
    ),
    (
        "a DependsOn of itself",
        template(_topic(DependsOn="Topic")),
        "ValidationError: Circular dependency between resources: [Topic]",
        f"{CFN}/TemplateReference/aws-attribute-dependson.html",
    ),
    (
        "a DependsOn of a parameter",
        template(_topic(DependsOn="Given"), Parameters={"Given": {"Type": "String", "Default": "1"}}),
        f"{_FORMAT}Unresolved resource dependencies [Given] in the Resources block of the template",
        f"{CFN}/TemplateReference/aws-attribute-dependson.html",
    ),
    (
        "an unknown DeletionPolicy",
        template(_topic(DeletionPolicy="Keep")),
        f"{_FORMAT}Unrecognized DeletionPolicy Keep for resource Topic",
        _DELETION,
    ),
    (
        "a snapshot of a topic",
        template(_topic(DeletionPolicy="Snapshot")),
        "ValidationError: Template error: resource type AWS::SNS::Topic does not support deletion policy Snapshot",
        _DELETION,
    ),
    (
        "a function that does not exist",
        _named({"Fn::Nope": ["a"]}),
        "ValidationError: Template error: encountered unsupported function: Fn::Nope Supported functions are: *",
        _FUNCTIONS,
    ),
    (
        "a Fn::Join without a list",
        _named({"Fn::Join": ["a"]}),
        "ValidationError: Template error: every Fn::Join object requires two parameters*",
        _FUNCTIONS,
    ),
    (
        "a Fn::GetAtt without an attribute",
        _named({"Fn::GetAtt": ["Topic"]}),
        "ValidationError: Template error: every Fn::GetAtt object requires two non-empty parameters*",
        _FUNCTIONS,
    ),
    (
        "a Fn::GetAtt of nothing",
        _named({"Fn::GetAtt": ["Nope", "Arn"]}),
        "ValidationError: Template error: instance of Fn::GetAtt references undefined resource Nope",
        "https://github.com/getmoto/moto/issues/6018",
    ),
    (
        "a Fn::If of an unknown condition",
        _named({"Fn::If": ["Nope", "a", "b"]}),
        f"{_FORMAT}Unresolved condition dependency Nope in the Resources block of the template",
        _CONDITIONS,
    ),
    (
        "a condition on a resource",
        _condition({"Fn::Equals": [{"Ref": "Topic"}, "a"]}),
        f"{_FORMAT}Unresolved dependencies [Topic]. Cannot reference resources in the Conditions block of the template",
        "https://github.com/aws-cloudformation/cfn-lint/issues/99",
    ),
    (
        "a condition on an unknown condition",
        _condition({"Fn::Not": [{"Condition": "Nope"}]}),
        f"{_FORMAT}Unresolved condition dependency Nope in the Conditions block of the template",
        _CONDITIONS,
    ),
    (
        "a condition on itself",
        _condition({"Fn::Not": [{"Condition": "Wanted"}]}),
        "ValidationError: Template error: Found circular condition dependency between Wanted and Wanted",
        _CONDITIONS,
    ),
    (
        "a reference to a resource that a condition leaves out",
        template({**_topic(Condition="Never"), **_SECOND}, Conditions={"Never": {"Fn::Equals": ["a", "b"]}}),
        f"{_FORMAT}Unresolved resource dependencies [Topic] in the Resources block of the template",
        "https://github.com/aws/serverless-application-model/issues/832",
    ),
    (
        "an unknown type of parameter",
        template(TOPIC, Parameters={"Given": {"Type": "Nope", "Default": "1"}}),
        f"{_FORMAT}Unrecognized parameter type: Nope",
        _PARAMETERS,
    ),
    (
        "a parameter without a type",
        template(TOPIC, Parameters={"Given": {"Default": "1"}}),
        f"{_FORMAT}Every Parameters object must contain a Type member.",
        _PARAMETERS,
    ),
    (
        "a parameter with an unknown attribute",
        template(TOPIC, Parameters={"Given": {"Type": "String", "Nope": 1}}),
        "ValidationError: Invalid template parameter property 'Nope'",
        _PARAMETERS,
    ),
    (
        "a parameter without a value",
        template(TOPIC, Parameters={"Given": {"Type": "String"}}),
        "ValidationError: Parameters: [Given] must have values",
        _PARAMETERS,
    ),
    (
        "a parameter outside of its values",
        template(TOPIC, Parameters={"Given": {"Type": "String", "Default": "z", "AllowedValues": ["a"]}}),
        "ValidationError: Parameter 'Given' must be one of AllowedValues",
        _PARAMETERS,
    ),
    (
        "a number that is none",
        template(TOPIC, Parameters={"Given": {"Type": "Number", "Default": "z"}}),
        "ValidationError: Parameter 'Given' must be a number",
        _PARAMETERS,
    ),
    (
        "an output without a value",
        template(TOPIC, Outputs={"Out": {"Description": "none"}}),
        f"{_FORMAT}*Every Outputs member must contain a Value object",
        _OUTPUTS,
    ),
    (
        "an output with a dash",
        template(TOPIC, Outputs={"Out-1": {"Value": "1"}}),
        f"{_FORMAT}Output name Out-1 is non alphanumeric.",
        _OUTPUTS,
    ),
]


def _failure(kind: str, **properties: Any):
    """Make a stack of one resource; return why it failed."""

    def ask(aws: LocalAws) -> str:
        name = made(aws, template({"Made": {"Type": kind, "Properties": properties}}), Capabilities=["CAPABILITY_IAM"])
        status = ended(aws, name)["StackStatus"]
        return next((one for one in events(aws, name) if one.startswith("CREATE_FAILED")), status)

    return ask


def _asks(body: str):
    return lambda aws: create(aws, body)


_ALARM = {"MetricName": "m", "Namespace": "Tests", "Statistic": "Sum", "Threshold": 1, "Period": 60}
_GREATER = {"ComparisonOperator": "GreaterThanThreshold"}
_PROPERTIES = [
    (
        "a text of another type",
        _failure("AWS::SNS::Topic", DisplayName=["a"]),
        "*#/DisplayName: expected type: String, found: JSONArray*",
    ),
    (
        "a number of another type",
        _failure("AWS::SQS::Queue", DelaySeconds="abc"),
        "*#/DelaySeconds: expected type: Integer, found: String*",
    ),
    (
        "an unknown property inside of one",
        _failure("AWS::S3::Bucket", VersioningConfiguration={"Status": "Enabled", "Nope": 1}),
        "*#/VersioningConfiguration: extraneous key [Nope] is not permitted*",
    ),
    (
        "a value outside of an enumeration",
        _failure("AWS::S3::Bucket", VersioningConfiguration={"Status": "On"}),
        "*#/VersioningConfiguration/Status: On is not a valid enum value*",
    ),
    (
        "a property that is missing",
        _failure("AWS::IAM::Role"),
        "*#: required key [AssumeRolePolicyDocument] not found*",
    ),
    (
        "a bucket's name in capitals",
        _failure("AWS::S3::Bucket", BucketName="Capitals"),
        "*The specified bucket is not valid.*",
    ),
    (
        "a role that nobody can assume",
        _failure(
            "AWS::IAM::Role", AssumeRolePolicyDocument={"Version": "2012-10-17", "Statement": [{"Effect": "Maybe"}]}
        ),
        "*Syntax errors in policy.*",
    ),
    (
        "a dashboard in a stack that is no JSON",
        _failure("AWS::CloudWatch::Dashboard", DashboardBody="{"),
        "*must be a valid JSON object*",
    ),
    (
        "an alarm in a stack with a period of 7 s",
        _failure("AWS::CloudWatch::Alarm", **{**_ALARM, **_GREATER, "Period": 7, "EvaluationPeriods": 1}),
        "*Period*",
    ),
]
REFUSED_TEMPLATES = [
    *(Case(name, _asks(body), answer, page) for name, body, answer, page in _TEMPLATES),
    *(Case(name, ask, f"CREATE_FAILED {answer}", _SCHEMA) for name, ask, answer in _PROPERTIES),
    Case(
        "an import of nothing",
        _failure("AWS::SNS::Topic", DisplayName={"Fn::ImportValue": "nope"}),
        "CREATE_FAILED No export named nope found",
        f"{CFN}/TemplateReference/intrinsic-function-reference-importvalue.html",
    ),
]
