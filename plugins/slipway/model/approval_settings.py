"""The sections ``approval`` and ``news`` of a model file: who lets a model into production, and who is told."""

from __future__ import annotations

from typing import Annotated, Any, Self

from pydantic import AfterValidator, Field, model_validator

from slipway.model.approval_rules import ONLY_STAGE, ApprovalStage, Rules
from slipway.model.fields import TopicArn, UserName, different_people, no_repetition
from slipway.validation import Strict, wrong

# The metadata of a model package has room for these beside the metrics.
MAX_APPROVALS = 10
Approvers = Annotated[list[UserName], Field(min_length=1), AfterValidator(different_people)]


class ApprovalStageSettings(Strict):
    """Approvers, and how many of them must approve before the next stage is asked."""

    # Registry records keep stages apart by their names, see approvals_of in registry/record.py.
    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$", max_length=40)]
    approvers: Approvers
    quorum: Annotated[int, Field(ge=1)] = 1

    @model_validator(mode="after")
    def _reachable(self) -> Self:
        return _check_quorum(self)


class Notifier(Strict):
    """One of Airflow's notifiers. https://airflow.apache.org/docs/apache-airflow/stable/howto/notifications.html"""

    notifier: Annotated[str, Field(pattern=r"^[A-Za-z_]\w*(\.[A-Za-z_]\w*)+$")]
    arguments: dict[str, Any] = {}


class NewsSettings(Strict):
    """Who is told how releases end; those who are told of the approvals, unless this names others."""

    topic: TopicArn | None = None
    notifiers: list[Notifier] | None = None
    successes: bool = False


class ApprovalSettings(Strict):
    """Who lets a model into production, how long they have, and who is told."""

    approvers: Annotated[list[UserName], AfterValidator(different_people)] = []
    quorum: Annotated[int, Field(ge=1)] = 1
    stages: list[ApprovalStageSettings] = []
    allow_uploader: bool = True
    timeout_days: Annotated[float, Field(gt=0, le=365)] = 7
    subject: Annotated[str, Field(min_length=1)] = "Shall this model be put into production?"
    topic: TopicArn | None = None
    notifiers: list[Notifier] = []

    @model_validator(mode="after")
    def _one_way_to_name_people(self) -> Self:
        if bool(self.approvers) == bool(self.stages):
            raise wrong("either approvers or stages", "name the people who may approve, once")
        if self.stages and self.quorum != 1:
            raise wrong("a quorum in each stage", "move quorum into the stages")
        no_repetition([stage.name for stage in self.stages])
        different_people(self.rules().approvers)
        if sum(stage.quorum for stage in self.stages) > MAX_APPROVALS or self.quorum > MAX_APPROVALS:
            # Each approval is an entry of the model package's metadata.
            raise wrong(f"at most {MAX_APPROVALS} approvals in all", "ask fewer people")
        return _check_quorum(self) if self.approvers else self

    def rules(self) -> Rules:
        """Return who decides, in the form that the rest of Slipway checks."""
        if self.approvers:
            return Rules((ApprovalStage(ONLY_STAGE, tuple(self.approvers), self.quorum),), self.allow_uploader)
        stages = (ApprovalStage(stage.name, tuple(stage.approvers), stage.quorum) for stage in self.stages)
        return Rules(tuple(stages), self.allow_uploader)


def _check_quorum(people: Any) -> Any:
    """Refuse a quorum that nobody could reach."""
    if people.quorum > len(people.approvers):
        raise wrong("a quorum of as many approvers as are named, or fewer", "lower quorum or name more approvers")
    return people
