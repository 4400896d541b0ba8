"""What the script behind docs/iam.md finds in templates and ledgers."""

import pytest

from tools import iam_coverage, iam_templates
from tools.iam_coverage import Use
from tools.iam_templates import Statement, statements, trusted

ROLE = """
Resources:
  Boundary:
    Type: AWS::IAM::ManagedPolicy
    Properties:
      ManagedPolicyName: the-boundary
      PolicyDocument: {Statement: [{Sid: AtMost, Effect: Allow, Action: "s3:*", Resource: "*"}]}
  Role:
    Type: AWS::IAM::Role
    Properties:
      RoleName: !Sub slipway-x-${Prefix}
      PermissionsBoundary: !Ref Boundary
      AssumeRolePolicyDocument:
        Statement:
          - {Effect: Allow, Principal: {AWS: !Ref Somebody}, Condition: {Bool: {"aws:MultiFactorAuthPresent": "true"}}}
      Policies:
        - PolicyName: p
          PolicyDocument:
            Statement:
              - {Sid: Read, Effect: Allow, Action: [s3:GetObject, s3:ListBucket], Resource: !GetAtt Bucket.Arn}
              - !If [Sometimes, {Sid: Write, Effect: Allow, Action: s3:PutObject, Resource: "*"}, !Ref AWS::NoValue]
"""


@pytest.fixture
def template(tmp_path, monkeypatch):
    path = tmp_path / "role.yaml"
    path.write_text(ROLE)
    monkeypatch.setattr(iam_coverage, "statements", lambda: statements([path]))
    monkeypatch.setattr(iam_coverage, "of_resources", list)
    monkeypatch.setattr(iam_coverage, "REASONS", {})
    return path


def use(action: str, statement: str = "p/Read", who: str = "slipway-x-iris") -> Use:
    return Use(who, statement, action, "Call", "module.py", step="00 a step")


def test_templates_are_read_with_their_functions(template):
    found = statements([template])
    assert [(one.holder, one.name, one.actions, one.limits) for one in found] == [
        ("the-boundary", "the-boundary/AtMost", ("s3:*",), True),
        ("slipway-x-${Prefix}", "p/Read", ("s3:GetObject", "s3:ListBucket"), False),
        ("slipway-x-${Prefix}", "p/Write", ("s3:PutObject",), False),
    ]
    assert trusted([template]) == {"slipway-x-${Prefix}": "`${Somebody}` by `aws:MultiFactorAuthPresent`"}


def test_an_action_without_a_call_or_a_reason_is_found(template, monkeypatch):
    found = [use("s3:GetObject"), use("s3:PutObject", "p/Write")]
    assert iam_coverage.unexplained(found, {}) == ["slipway-x-${Prefix} p/Read: no call needs s3:ListBucket"]
    # Another role's call is none of this one.
    assert len(iam_coverage.unexplained([use("s3:GetObject", who="slipway-y-iris")], {})) == 3

    monkeypatch.setattr(iam_coverage, "REASONS", {("slipway-x-*", "Read", "s3:ListBucket"): "why"})
    assert iam_coverage.unexplained(found, {}) == []


def test_a_reason_for_what_is_needed_is_found(template, monkeypatch):
    monkeypatch.setattr(iam_coverage, "REASONS", {("slipway-x-*", "Read", "s3:GetObject"): "why"})
    found = [use("s3:GetObject"), use("s3:ListBucket"), use("s3:PutObject", "p/Write")]
    assert iam_coverage.unexplained(found, {}) == ["the reason for slipway-x-* Read s3:GetObject is not needed"]


def test_a_call_that_no_statement_with_a_sid_allows_is_found(template):
    assert iam_coverage.unnamed([use("s3:GetObject")]) == []
    found = [use("s3:GetObject", "p/#1"), use("s3:GetObject", "AdministratorAccess/#1")]
    assert iam_coverage.unnamed(found) == [
        "slipway-x-iris: s3:GetObject is allowed by p/#1",
        "slipway-x-iris: s3:GetObject is allowed by AdministratorAccess/#1",
    ]


def test_calls_are_read_from_the_ledger():
    session = "arn:aws:sts::123456789012:assumed-role/slipway-x-iris/SageMaker"
    asked = {"principal": session, "action": "s3:GetObject", "resource": "r", "allowed": True, "statement": "p/Read"}
    call = {"operation": "GetObject", "caller": session, "request_id": "1", "step": "00 a step", "iam": [asked]}
    denied = {**call, "iam": [{**asked, "allowed": False}]}
    assert iam_coverage.uses([call, {**call, "step": "01 later"}, denied, {**call, "iam": []}], {}) == [
        Use("slipway-x-iris", "p/Read", "s3:GetObject", "GetObject", "SageMaker", step="00 a step")
    ]
    assert iam_coverage.uses([call], {"1": "a/module.py"})[0].caller == "a/module.py"


def test_an_action_that_a_schema_names_on_other_resources_is_not_explained_by_it():
    handlers = {"AWS::CloudWatch::Dashboard": {"read": ["cloudwatch:GetDashboard"]}}
    names = ("bootstrap.yaml", "slipway-airflow", "deploy", "S", "Allow", ("cloudwatch:GetDashboard",))
    dashboards = Statement(*names, resources=("arn:aws:cloudwatch::1:dashboard/slipway-*",))
    alarms = Statement(*names, resources=("arn:aws:cloudwatch:us-west-2:1:alarm:slipway-*",))
    assert "read of `AWS::CloudWatch::Dashboard`" in iam_coverage.reason(
        dashboards, "cloudwatch:GetDashboard", handlers
    )
    assert iam_coverage.reason(alarms, "cloudwatch:GetDashboard", handlers) == ""


def test_the_shipped_roles_have_what_the_schemas_name():
    handlers = iam_templates.handlers_of(iam_templates.ENDPOINT_TEMPLATE)
    assert "AWS::SageMaker::Endpoint" in handlers
    assert iam_coverage.missing(handlers) == []
