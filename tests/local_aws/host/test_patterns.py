"""Callers' expressions, patterns and nesting are limited, so that other calls are answered meanwhile."""

import fnmatch
import json
import os
import subprocess
import time
from pathlib import Path

import pytest
from botocore.exceptions import ClientError

from local_aws.host import patterns
from tests.local_aws.host.test_authentication import send
from tests.local_aws.server import ROOT
from tests.local_aws.signing import signed

pytestmark = pytest.mark.local_aws
SLOW = "(a+)+b"
LONG = "a" * 4000


@pytest.fixture
def quick(local_aws):
    """The local AWS works some seconds at most, on a machine that may have other work, and answers afterwards."""
    began = cpu_seconds(local_aws.process.pid)
    yield
    local_aws.client("sts").get_caller_identity()
    assert cpu_seconds(local_aws.process.pid) - began < 15


def cpu_seconds(pid):
    """Return how long a process has worked, in its own code and in the system's: fields 14 and 15 of proc(5)'s stat."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def error_of(call, **parameters):
    with pytest.raises(ClientError) as refused:
        call(**parameters)
    return refused.value.response["Error"]


def template(**parameter):
    return {
        "Parameters": {"Value": {"Type": "String", **parameter}},
        "Resources": {"Topic": {"Type": "AWS::SNS::Topic"}},
    }


def create(aws, body, value):
    return aws.client("cloudformation").create_stack(
        StackName="bounded",
        TemplateBody=body if isinstance(body, str) else json.dumps(body),
        Parameters=[{"ParameterKey": "Value", "ParameterValue": value}],
    )


class TestStacks:
    @pytest.mark.parametrize(
        ("definition", "value", "reason"),
        [
            ({"AllowedPattern": SLOW}, LONG, "has an invalid AllowedPattern: takes too long to match"),
            ({"AllowedPattern": "("}, "a", "has an invalid AllowedPattern: missing"),
            ({"AllowedPattern": "[a-z]+"}, "A", "must match pattern [a-z]+"),
            ({"AllowedPattern": "[a-z]+", "ConstraintDescription": "be small"}, "a\n", "be small"),
            ({"AllowedPattern": "a|b", "Type": "CommaDelimitedList"}, "a, c", "must match pattern a|b"),
            ({"AllowedPattern": "a*", "MaxLength": 2}, "aaa", "must contain at most 2 characters"),
        ],
    )
    def test_a_parameter_that_does_not_fit_is_refused(self, local_aws, quick, definition, value, reason):
        assert reason in error_of(create, aws=local_aws, body=template(**definition), value=value)["Message"]

    @pytest.mark.parametrize(
        ("definition", "value"),
        [
            ({"AllowedPattern": "[a-z]+"}, "fits"),
            ({"AllowedPattern": "a|b", "Type": "CommaDelimitedList"}, "a, b"),
            ({"AllowedPattern": "x", "Type": "Number"}, "1"),
        ],
    )
    def test_a_parameter_that_fits_is_taken(self, local_aws, definition, value):
        create(local_aws, template(**definition), value)
        assert local_aws.stack("bounded")["StackStatus"] == "CREATE_COMPLETE"
        local_aws.client("cloudformation").delete_stack(StackName="bounded")
        with pytest.raises(ClientError):
            local_aws.client("cloudformation").get_waiter("stack_delete_complete").wait(StackName="bounded")
            local_aws.stack("bounded")

    def test_aliases_are_refused_as_by_aws(self, local_aws, quick):
        # https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/template-formats.html
        levels = [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 10)]
        body = "\n".join(["a0: &a0 x", *levels, "Resources: {Topic: {Type: AWS::SNS::Topic}}"])
        assert "YAML aliases are not allowed" in error_of(create, aws=local_aws, body=body, value="x")["Message"]

    def test_a_template_of_megabytes_is_refused(self, local_aws, quick):
        body = "Resources:\n" + "".join(f"  R{n}: {{Type: AWS::SNS::Topic}}\n" for n in range(50_000))
        assert error_of(create, aws=local_aws, body=body, value="x")["Code"] == "ValidationError"

    def test_deep_nesting_is_refused(self, local_aws, quick):
        for body in ('{"Resources":' * 100_000, "[" * 100_000):
            assert error_of(create, aws=local_aws, body=body, value="x")["Code"]


def test_a_template_that_is_sent_again_is_read_once():
    check = (
        "from importlib import import_module\n"
        "from local_aws.host import patterns\n"
        "modules = {name: import_module(name) for name in patterns.PRIVATE_PARTS}\n"
        "engine = modules['ministack.services.cloudformation.engine']\n"
        "reads, read = [], engine.CfnLoader.get_single_node\n"
        "engine.CfnLoader.get_single_node = lambda loader: reads.append(loader) or read(loader)\n"
        "patterns.bound_cloudformation(modules)\n"
        "texts = [f'Resources: {{R{n}: {{Type: !Sub x}}}}' for n in range(17)]\n"
        "for text in (texts[0], texts[0], *texts, texts[0]):\n"
        "    result = engine._parse_template(text)\n"
        "    (resource,) = result['Resources'].values()\n"
        "    assert resource == {'Type': {'Fn::Sub': 'x'}}, 'what its reader changes is nobody else\\'s'\n"
        "    resource['Type'] = 'changed'\n"
        "assert len(reads) == 18, 'the oldest of more than sixteen is read again'\n"
    )
    subprocess.run([ROOT / ".venv-aws/bin/python", "-c", check], cwd=ROOT, check=True, timeout=180)


@pytest.mark.parametrize("target", ["SageMaker.ListModels", "Logs_20140328.DescribeLogGroups", "TrentService.ListKeys"])
def test_deep_json_is_an_error_of_its_request(local_aws, quick, target):
    service = {"S": "sagemaker", "L": "logs", "T": "kms"}[target[0]]
    body = b'{"a":' * 200_000
    kind = {"Content-Type": "application/x-amz-json-1.1", "X-Amz-Target": target}
    headers = signed("POST", f"{local_aws.endpoint_url}/", service, body, kind)
    assert send(local_aws, "POST", "/", headers, body)[0] in (400, 500)


class TestLogs:
    def test_queries_are_refused(self, local_aws, quick):
        logs = local_aws.client("logs")
        logs.create_log_group(logGroupName="queried")
        logs.create_log_stream(logGroupName="queried", logStreamName="s")
        event = {"timestamp": int(time.time() * 1000), "message": LONG}
        logs.put_log_events(logGroupName="queried", logStreamName="s", logEvents=[event])
        query = {"startTime": 0, "endTime": int(time.time()) + 60, "queryString": f"filter @message like /{SLOW}/"}
        for call, asked in (
            (logs.start_query, {"logGroupName": "queried", **query}),
            (logs.get_query_results, {"queryId": "q"}),
            (logs.stop_query, {"queryId": "q"}),
            (logs.get_log_record, {"logRecordPointer": "p"}),
        ):
            error = error_of(call, **asked)
            assert (error["Code"], "docs/local-aws.md" in error["Message"]) == ("UnknownOperationException", True)
        fields = logs.get_log_group_fields(logGroupName="queried")["logGroupFields"]
        assert {"name": "@message", "percent": 100} in fields

    def test_filters_are_bounded(self, local_aws, quick):
        logs = local_aws.client("logs")
        logs.create_log_group(logGroupName="filtered")
        logs.create_log_stream(logGroupName="filtered", logStreamName="s")
        events = [{"timestamp": int(time.time() * 1000), "message": text} for text in (LONG, "an error")]
        logs.put_log_events(logGroupName="filtered", logStreamName="s", logEvents=events)
        found = logs.filter_log_events(logGroupName="filtered", filterPattern="error")["events"]
        assert [event["message"] for event in found] == ["an error"]
        assert logs.filter_log_events(logGroupName="filtered", filterPattern="a*" * 500 + "b")["events"] == []
        too_long = error_of(logs.filter_log_events, logGroupName="filtered", filterPattern="a" * 1025)
        assert too_long["Code"] == "InvalidParameterException"


class TestWildcards:
    @pytest.mark.parametrize("text", ["", "a", "ab", "abc", "aab", "abab", "a.b", "a\nb", "aXb"])
    @pytest.mark.parametrize(
        "pattern", ["", "*", "a*", "*b", "a*b", "a?b", "*a*b*", "a**b", "?*", "*?b", "ab*ab", "a.b"]
    )
    def test_they_match_as_ever(self, pattern, text):
        # Like patterns of file names, which have the same two signs.
        assert bool(patterns.wildcard(pattern, False).match(text)) == fnmatch.fnmatchcase(text, pattern)

    def test_capitals(self):
        assert patterns.wildcard("S3:get*", True).match("s3:GetObject")
        assert not patterns.wildcard("S3:get*", False).match("s3:GetObject")

    def test_many_stars_cost_no_more_than_the_text_is_long(self):
        began = time.process_time()
        assert not patterns.wildcard("a*" * 300 + "b", False).match("a" * 3000)
        assert time.process_time() - began < 2

    def test_the_evaluator_uses_them(self, tmp_path):
        check = (
            "import sys, time; from pathlib import Path\n"
            "from local_aws.host import gateway\n"
            "from local_aws.settings import Settings\n"
            "from local_aws.host.stack_operations import Journal\n"
            "from local_aws.framework.disk import Disk\n"
            "from local_aws.framework.store import Store\n"
            "state = Path(sys.argv[1])\n"
            "settings = Settings(port=1, bind='127.0.0.1', state_dir=state)\n"
            "disk = Disk(state)\n"
            "gateway.Gateway(settings, Journal(Store(state / 'store', disk)), disk)\n"
            "from ministack.core.iam_evaluator import fnmatch_iam_cs\n"
            "assert not fnmatch_iam_cs('a' * 3000, 'a*' * 100 + 'b')\n"
        )
        python = ROOT / ".venv-aws/bin/python"
        subprocess.run([python, "-c", check, str(tmp_path)], cwd=ROOT, check=True, timeout=60)


class TestMatcher:
    def test_it_goes_on_after_a_slow_expression_and_after_its_end(self):
        matcher = patterns.PatternMatcher()
        assert matcher.fits("a+", ["aa", "a"])
        with pytest.raises(ValueError, match="too long"):
            matcher.fits(SLOW, [LONG])
        assert not matcher.fits("a+", ["aa", "b"])
        matcher._process.kill()
        matcher._process.wait()
        assert matcher.fits("ü😀\n", ["ü😀\n"])
        matcher._process.kill()

    def test_one_that_does_not_answer_is_replaced(self, monkeypatch, tmp_path):
        mute = tmp_path / "mute.py"
        mute.write_text("import time; time.sleep(600)")
        monkeypatch.setattr(patterns, "_ANSWER_SECONDS", 0.2)
        matcher = patterns.PatternMatcher()
        with monkeypatch.context() as patch:
            patch.setattr(patterns, "_MATCHER", mute)
            with pytest.raises(ValueError, match="too long"):
                matcher.fits("a", ["a"])
        monkeypatch.setattr(patterns, "_ANSWER_SECONDS", 5)
        assert matcher.fits("a", ["a"])
        matcher._process.kill()


def test_a_name_of_megabytes_is_refused_by_its_length(local_aws, quick):
    error = error_of(local_aws.client("sagemaker").create_model_package_group, ModelPackageGroupName="-" * 2**20)
    assert error["Code"] == "ValidationException"
