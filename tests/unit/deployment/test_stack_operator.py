"""A stack that belongs to something else; repairs are tested with the operator in test_deploy_stack.py."""

import pytest

from slipway.aws.stacks import Stack
from slipway.deployment.stack_operator import StackOperator
from slipway.errors import NameConflict
from slipway.states import StackStatus


def test_a_stack_without_our_tags_is_left_alone():
    operator = StackOperator(task_id="t", stack_name="s", ownership_tags={"slipway:model-prefix": "iris-model"})
    operator._check_ours(Stack("s", "id", StackStatus.CREATE_COMPLETE, tags={"slipway:model-prefix": "iris-model"}))
    with pytest.raises(NameConflict, match="belongs to something else"):
        operator._check_ours(Stack("s", "id", StackStatus.CREATE_COMPLETE, tags={}))
