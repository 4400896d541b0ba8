"""The contract with the host: a ministack that lacks what the gateway uses fails here, by name."""

import json
import subprocess
from importlib import import_module
from pathlib import Path

import pytest

from local_aws.host.gateway import private_parts

ROOT = Path(__file__).parents[3]
PYTHON = ROOT / ".venv-aws/bin/python"

# Runs where ministack is installed; prints what is missing or has changed.
_CHECK = """
import inspect, json, sys, tempfile
from importlib import import_module
from pathlib import Path
from local_aws.host.environment import configure
from local_aws.host.gateway import private_parts
from local_aws.settings import Settings

configure(Settings(port=1, bind="127.0.0.1", state_dir=Path(sys.argv[1])))
modules = {name: import_module(name) for name in private_parts()}
missing = [f"{name}.{part}" for name, parts in private_parts().items()
           for part in parts if not hasattr(modules[name], part)]

def parameters(module, function):
    return list(inspect.signature(getattr(modules[module], function)).parameters)

provisioners = modules["ministack.services.cloudformation.provisioners"]
responses = modules["ministack.core.responses"]
print(json.dumps({
    "missing": missing,
    "signatures": {
        "detect_service": parameters("ministack.core.router", "detect_service"),
        "extract_access_key_id": parameters("ministack.core.router", "extract_access_key_id"),
        "_routing_params": parameters("ministack.app", "_routing_params"),
        "enforce": parameters("ministack.core.iam_evaluator", "enforce")[:5],
        "save_state": parameters("ministack.core.persistence", "save_state"),
        "_update_resource": parameters("ministack.services.cloudformation.provisioners", "_update_resource"),
        "_add_event": parameters("ministack.services.cloudformation.stacks", "_add_event")[:7],
        "_evaluate_alarm": parameters("ministack.services.cloudwatch", "_evaluate_alarm"),
        "_dispatch_alarm_actions": parameters("ministack.services.cloudwatch", "_dispatch_alarm_actions"),
        "_record_history": parameters("ministack.services.cloudwatch", "_record_history")[:4],
        **{name: parameters("ministack.services.cloudwatch", name)
           for name in ("_put_metric_data", "_get_metric_data", "_xml", "handle_request")},
        "_fanout": parameters("ministack.services.sns", "_fanout")[:4],
        "_resolve_props_for_diff":
            parameters("ministack.services.cloudformation.changesets", "_resolve_props_for_diff"),
        "_diff_resources": parameters("ministack.services.cloudformation.changesets", "_diff_resources"),
    },
    "handler_keys": sorted({key for handler in provisioners._RESOURCE_HANDLERS.values() for key in handler}),
    "scoped_stacks": hasattr(modules["ministack.services.cloudformation"]._stacks, "_data"),
    "scoped_alarms": [hasattr(getattr(modules["ministack.services.cloudwatch"], part), "_data")
                      for part in ("_alarms", "_metrics")],
    "persists":
        import_module("ministack.core.persistence").PERSIST_STATE,
    "version": __import__("importlib.metadata").metadata.version("ministack"),
}))
"""


@pytest.fixture(scope="module")
def host(tmp_path_factory):
    state_dir = tmp_path_factory.mktemp("host")
    answer = subprocess.run(
        [PYTHON, "-c", _CHECK, state_dir], cwd=ROOT, capture_output=True, text=True, timeout=180, check=False
    )
    assert answer.returncode == 0, answer.stderr
    return json.loads(answer.stdout.splitlines()[-1])


def test_every_private_part_is_there(host):
    assert host["missing"] == [], "local_aws/host uses parts that this ministack lacks"


def test_functions_take_what_the_gateway_gives(host):
    assert host["signatures"] == {
        "detect_service": ["method", "path", "headers", "query_params"],
        "extract_access_key_id": ["headers", "query_params"],
        "_routing_params": ["method", "path", "headers", "body", "query_params"],
        "enforce": ["access_key_id", "iam_action", "service", "region", "resource_arn"],
        "save_state": ["service", "data"],
        "_update_resource": [
            "resource_type",
            "physical_id",
            "old_props",
            "new_props",
            "stack_name",
            "logical_id",
            "old_attrs",
        ],
        "_add_event": [
            "stack_id",
            "stack_name",
            "logical_id",
            "resource_type",
            "status",
            "reason",
            "physical_id",
        ],
        "_evaluate_alarm": ["alarm"],
        "_dispatch_alarm_actions": ["alarm", "old_state", "new_state", "reason"],
        "_record_history": ["alarm_name", "old_state", "new_state", "reason"],
        "_put_metric_data": ["params", "cbor_data", "is_cbor", "is_json"],
        "_get_metric_data": ["params", "cbor_data", "is_cbor", "is_json"],
        "_xml": ["status", "root_tag", "inner"],
        "handle_request": ["method", "path", "headers", "body", "query_params"],
        "_fanout": ["topic_arn", "msg_id", "message", "subject"],
        "_resolve_props_for_diff": ["template", "params", "stack_name", "stack_id"],
        "_diff_resources": ["old_template", "new_template", "resources", "template", "changed_params", "retag"],
    }


def test_handlers_and_state_are_of_the_known_kind(host):
    assert {"create", "update", "update_with_logical_id", "delete", "delete_with_logical_id"} <= set(
        host["handler_keys"]
    )
    assert host["scoped_stacks"]
    assert host["scoped_alarms"] == [True, True]
    assert host["persists"]


def test_every_module_that_names_private_parts_is_checked():
    for path in (ROOT / "local_aws/host").glob("*.py"):
        module = import_module(f"local_aws.host.{path.stem}")
        for name, parts in getattr(module, "PRIVATE_PARTS", {}).items():
            assert private_parts().get(name, set()) >= set(parts), f"gateway.py does not collect {path.name}"


def test_the_pin_is_the_version_that_was_read(host):
    pinned = (ROOT / "local_aws/requirements.txt").read_text()
    assert f"ministack=={host['version']}" in pinned
