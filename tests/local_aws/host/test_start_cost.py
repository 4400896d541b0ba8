"""A start reads the rows of a history, and parses only what somebody asks for."""

import json

import pytest

from tests.local_aws.gateway_script import run_with_gateway

MAKE = """
from ministack.services import cloudformation, cloudwatch

for number in range(int(sys.argv[2])):
    name = f"endpoint-{number}"
    stack_id = f"arn:aws:cloudformation:us-west-2:123456789012:stack/{name}/{number}"
    status = "UPDATE_IN_PROGRESS" if number == 1 else "CREATE_COMPLETE"
    cloudformation._stacks[name] = {"StackName": name, "StackId": stack_id, "StackStatus": status}
    cloudformation._stack_events[stack_id] = [{"EventId": str(n)} for n in range(40)]
    cloudwatch._alarms[name] = {"AlarmName": name, "StateValue": "OK"}
built.persistence.save_later("cloudformation")
built.persistence.save()
"""
START = """
from ministack.services import cloudformation, cloudwatch
from ministack.services.cloudformation import handlers
from local_aws.host.late_entries import Unread

def unread():
    stores = {"stacks": cloudformation._stacks, "events": cloudformation._stack_events, "alarms": cloudwatch._alarms}
    kept = {name: [dict.get(store._data, key) for key in store._data] for name, store in stores.items()}
    return {name: sum(type(value) is Unread for value in values) for name, values in kept.items()}

app._load_persisted_state()
loaded = unread()
built.stacks.engine.restore()
restored = unread()
wanted = "arn:aws:cloudformation:us-west-2:123456789012:stack/endpoint-2/2"
found = handlers._resolve_stack(wanted)
assert found["StackId"] == wanted
found["StackStatus"] = "CHANGED"
built.persistence.save()
print(json.dumps([loaded, restored, unread()]))
"""
AGAIN = """
from ministack.services import cloudformation
app._load_persisted_state()
print(json.dumps({name: stack["StackStatus"] for name, stack in cloudformation._stacks.items()}))
"""


@pytest.mark.local_aws
@pytest.mark.parametrize("count", [4, 60])
def test_a_start_reads_only_the_stacks_that_were_interrupted(tmp_path, count):
    run_with_gateway(MAKE, tmp_path, str(count))
    loaded, restored, asked = json.loads(run_with_gateway(START, tmp_path))
    every = {"stacks": count, "events": count, "alarms": count}
    assert loaded == every
    # The interrupted one gets another event.
    assert restored == every | {"stacks": count - 1, "events": count - 1}
    assert asked == every | {"stacks": count - 2, "events": count - 1}
    statuses = json.loads(run_with_gateway(AGAIN, tmp_path))
    assert (statuses.pop("endpoint-1"), statuses.pop("endpoint-2")) == ("UPDATE_ROLLBACK_COMPLETE", "CHANGED")
    assert len(statuses) == count - 2 and set(statuses.values()) == {"CREATE_COMPLETE"}
