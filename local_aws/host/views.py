"""What people see of ministack's services: reading only, in this process, without a request."""

from collections.abc import Mapping
from typing import Any

from local_aws.host.alarm_views import AlarmViews
from local_aws.host.message_views import MessageViews
from local_aws.host.object_views import ObjectViews
from local_aws.host.s3_index import S3Index
from local_aws.host.stack_views import StackViews
from local_aws.metrics.history import AlarmHistory


class Views:
    """The views of all services.

    :param modules: ministack's modules by name
    :param index: what S3 knows
    :param history: of alarms
    """

    def __init__(self, modules: Mapping[str, Any], index: S3Index, history: AlarmHistory) -> None:
        self.stacks = StackViews(modules)
        self.objects = ObjectViews(modules, index)
        self.alarms = AlarmViews(modules, history)
        self.messages = MessageViews(modules)
