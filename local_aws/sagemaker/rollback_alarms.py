"""The CloudWatch alarms that roll a deployment back.

https://docs.aws.amazon.com/sagemaker/latest/dg/deployment-guardrails-configuration.html
"""

from collections.abc import Sequence

from botocore.exceptions import BotoCoreError, ClientError

from local_aws.compute.base import ComputeSettings
from local_aws.framework.store import Scope
from local_aws.sagemaker.resources import invalid


class RollbackAlarms:
    """Reads alarms as a client of CloudWatch, as SageMaker does with DescribeAlarms and the model's role.

    :param settings: where CloudWatch is
    """

    def __init__(self, settings: ComputeSettings) -> None:
        self._settings = settings

    def check(self, scope: Scope, names: Sequence[str], role_arn: str) -> None:
        """Refuse names of missing alarms.

        :param scope: account and region of the alarms
        :param names: of AutoRollbackConfiguration
        :param role_arn: the role that reads them; empty for SageMaker itself
        :raises ServiceError: an alarm does not exist, or the role may not read it
        """
        try:
            states = self._states(scope, names, role_arn)
        except (ClientError, BotoCoreError) as error:
            raise invalid(f"The alarms of AutoRollbackConfiguration could not be described: {error}") from error
        if missing := [name for name in names if name not in states]:
            raise invalid(f"Could not find alarm(s) {_listed(missing)} specified in AutoRollbackConfiguration.")

    def tripped(self, scope: Scope, names: Sequence[str], role_arn: str) -> str | None:
        """Return the reason for a roll-back: an alarm is in ALARM or cannot be read.

        :param scope: account and region of the alarms
        :param names: of AutoRollbackConfiguration
        :param role_arn: the role that reads them; empty for SageMaker itself
        :returns: the reason; None when there is none
        """
        try:
            states = self._states(scope, names, role_arn)
        except (ClientError, BotoCoreError) as error:
            # A deployment that cannot be watched must not continue.
            return f"The alarms of AutoRollbackConfiguration could not be described: {error}"
        if gone := [name for name in names if name not in states]:
            return f"Alarm(s) {_listed(gone)} specified in AutoRollbackConfiguration no longer exist."
        if breached := [name for name in names if states[name] == "ALARM"]:
            return f"Alarm(s) {_listed(breached)} specified in AutoRollbackConfiguration are in ALARM state."
        return None

    def _states(self, scope: Scope, names: Sequence[str], role_arn: str) -> dict[str, str]:
        if not names:
            return {}
        client = self._settings.client("cloudwatch", scope.account_id, scope.region, role_arn)
        found = client.describe_alarms(AlarmNames=list(names), AlarmTypes=["MetricAlarm", "CompositeAlarm"])
        alarms = [*found.get("MetricAlarms", []), *found.get("CompositeAlarms", [])]
        return {alarm["AlarmName"]: alarm["StateValue"] for alarm in alarms}


def _listed(names: Sequence[str]) -> str:
    return ", ".join(f'"{name}"' for name in names)
