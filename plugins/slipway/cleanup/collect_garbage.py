"""The task ``collect_garbage``: remove what superseded releases left."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseOperator

from slipway import names
from slipway.aws.cloudformation import CloudFormationHook
from slipway.aws.s3 import StoredObject, bucket_and_key
from slipway.aws.sagemaker import Resource
from slipway.aws.stacks import Stack
from slipway.cleanup import rules
from slipway.cleanup.rules import Past
from slipway.cleanup.survey import Survey
from slipway.deployment import history, served_artefacts
from slipway.deployment.parameters import SEQUENCE, data_urls
from slipway.errors import SlipwayError
from slipway.host import runs
from slipway.plan import ReleasePlan, pull_plan, roll_back_target
from slipway.registry.artefact_store import S3Artefacts
from slipway.registry.hook import ModelRegistryHook
from slipway.registry.record import Candidate
from slipway.stages.board import Outcome
from slipway.stages.mixin import StageMixin
from slipway.states import BoardStage, Environment

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow.sdk import Context

    from slipway.model.config import ModelConfig

# Why a package is rejected on which nobody has decided.
_NEVER_DEPLOYED = "Superseded: production serves a newer release and refuses this one, so its files are removed"


@dataclass(frozen=True)
class Garbage:
    """What a look has found.

    :param releases: the superseded releases with their objects, by revision id
    :param resources: models and endpoint configs that nothing uses
    :param builds: what builds of its image have left that nothing needs: places with their objects
    :param stacks: the model's stacks as they were
    :param kept: how many releases are kept
    """

    releases: dict[str, tuple[Past, list[StoredObject]]]
    resources: list[Resource]
    builds: list[tuple[str, list[StoredObject]]]
    stacks: list[Stack]
    kept: int

    @staticmethod
    def removed(revisions: list[str], resources: list[Resource], freed: int) -> dict[str, Any]:
        """Write what the task returns."""
        return {"revisions": revisions, "resources": [f"{one.kind} {one.name}" for one in resources], "bytes": freed}


class CollectGarbageOperator(StageMixin, BaseOperator):
    """Remove documents and artefacts of superseded releases, and models and endpoint configs that nothing uses.

    CloudFormation removes what it replaces. This task removes what CloudFormation could not remove or did not make.
    It keeps what an endpoint of the account or a stack of the model uses, what a roll-back may need, what a run still
    works with, and what may still be approved and deployed. It holds production's lease while it removes, so no
    roll-back starts meanwhile; what it looks at costs the same calls however large the account is.

    The release is already deployed. What cannot be removed is logged, and the next release tries again; the task does
    not fail. It fails, and removes nothing, only if an artefact of production is not the one on record; then it also
    notifies the approvers.

    :param model: the model file's content
    """

    def __init__(self, *, model: ModelConfig, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.model = model
        self.configure_stages(model)

    def execute(self, context: Context) -> dict[str, Any]:
        """Collect, unless another run holds production's lease.

        :returns: revisions, models and endpoint configs that were removed, and bytes
        :raises slipway.errors.ArtefactChanged: when production would load other bytes than those on record
        """
        self._check_production(context)
        if roll_back_target(context):
            self.log.info("Production was rolled back: nothing is removed, so that people can look into the cause")
            return {}
        try:
            return self._collect(context)
        except SlipwayError as error:
            self.log.warning("%s. The next release collects the rest", error.problem)
        except Exception:
            # Production serves, so nothing that a collection meets fails the release (docs/decisions.md, 29).
            self.log.exception("The collection ended. The next release collects the rest")
        return {}

    def _check_production(self, context: Context) -> None:
        try:
            plan = pull_plan(context)
            stack = CloudFormationHook(aws_conn_id=self.aws_conn_id).describe_stack(plan.stack(Environment.PRODUCTION))
            served = served_artefacts.ServedArtefacts(
                plan.model_package_group,
                ModelRegistryHook(aws_conn_id=self.aws_conn_id),
                S3Artefacts(aws_conn_id=self.aws_conn_id),
            )
            changed = served.changed(data_urls(stack.parameters)) if stack else []
        except SlipwayError as error:
            self.log.warning("%s. Production's artefacts were not compared with those on record", error.problem)
            return
        except Exception:
            self.log.exception("Production's artefacts were not compared with those on record")
            return
        for one in changed:
            served_artefacts.notify_changed(one, self.model, context)
        if changed:
            raise changed[0]

    def _collect(self, context: Context) -> dict[str, Any]:
        plan, dag_run = pull_plan(context), context["dag_run"]
        holder = self.gate.holder(plan.home_bucket, names.board_key(plan.prefix), BoardStage.PRD)
        if holder and holder.run == (dag_run.dag_id, dag_run.run_id):
            # An attempt was killed while it removed: this one looks first, as that one did.
            self.leave_stages(context, BoardStage.PRD)
        elif holder:
            self.log.info("Another run holds production: this run collects nothing")
            return {}
        survey = Survey(plan.prefix, plan.home_bucket, self.aws_conn_id, runs.goes_on)
        garbage = self._find(survey, plan)
        if not (garbage.releases or garbage.resources or garbage.builds):
            self.log.info("There is nothing to collect")
            return garbage.removed([], [], 0)
        collected: dict[str, Any] = {}
        try:
            if self.gate.enter(self.ticket(context, BoardStage.PRD)).outcome is not Outcome.ENTERED:
                self.log.info("Another run holds production: this run collects nothing")
            elif survey.stacks() != garbage.stacks:
                self.log.info("A stack has changed since it was looked at: the next release collects")
            else:
                collected = self._remove(survey, garbage)
        except Exception:
            self.leave_stages(context, BoardStage.PRD)
            raise
        self.leave_stages(context, BoardStage.PRD)
        return collected

    def _find(self, survey: Survey, plan: ReleasePlan) -> Garbage:
        """Look for what nothing needs, without production's lease: the look may take a while."""
        keep = self.model.roll_back.keep_releases
        # What exists before what is in use: see Survey.
        folders, tagged = survey.folders(plan.revision_id), survey.tagged()
        undecided = survey.undecided(folders, plan.sequence)
        others = {one: folder for one, folder in folders.items() if one not in undecided}
        packages, deployed = survey.registered(others, keep)
        stacks = survey.stacks()
        needed = rules.needed(survey.chain(stacks), deployed, keep)
        past = survey.past((one for one in others if one != plan.revision_id), packages, needed)
        in_use = survey.in_use(stacks)
        gone = survey.superseded(past, plan.sequence, survey.production(stacks).get(SEQUENCE), in_use, needed)
        survey.remember(folders, gone)
        if any(stack.status.in_progress for stack in stacks):
            self.log.info("A stack is being changed: the next release collects models and endpoint configs")
            tagged = []
        return Garbage(
            {one.revision_id: (one, objects) for one in gone if (objects := folders[one.revision_id].objects)},
            survey.unused(tagged, in_use),
            survey.superseded_builds(set(folders) - {one.revision_id for one in gone}, plan.sequence),
            stacks,
            len(folders) - len(gone),
        )

    def _remove(self, survey: Survey, garbage: Garbage) -> dict[str, Any]:
        freed, gone = 0, []
        for past, folder in garbage.releases.values():
            package = survey.package(past.package_arn) if past.package_arn else None
            if package and past.pending and not self._reject(survey, past, package):
                continue
            freed += self._remove_release(survey, past, package, folder)
            gone.append(past.revision_id)
        freed += sum(self._remove_objects(survey, where, objects) for where, objects in garbage.builds)
        removed = [one for one in garbage.resources if self._remove_unused(survey, one)]
        kept = garbage.kept + len(garbage.releases) - len(gone)
        self.log.info("Collected %d releases, %d bytes; kept %d", len(gone), freed, kept)
        return garbage.removed(gone, removed, freed)

    def _reject(self, survey: Survey, past: Past, package: Mapping[str, Any]) -> bool:
        """Reject a package before its files are removed, so that nobody approves it without them.

        :returns: False where somebody has approved it, or gone on with its run, since it was looked at
        """
        if survey.goes_on(past.revision_id):
            self.log.info("The release %s is kept: its run goes on again", past.revision_id)
            return False
        candidate = Candidate.of(package)
        return self.reject_package(candidate.model_package_arn, candidate.digest, _NEVER_DEPLOYED)

    def _remove_release(
        self, survey: Survey, past: Past, package: Mapping[str, Any] | None, folder: list[StoredObject]
    ) -> int:
        """Remove a release's artefacts, then its documents, by which a later collection finds an interrupted one.

        :returns: the bytes that were removed
        """
        if package and history.COLLECTED not in package.get("CustomerMetadataProperties", {}):
            # Before the rest, so that no roll-back uses a package without its artefact.
            now = datetime.now(UTC).isoformat(timespec="seconds")
            survey.registry.annotate(package, {history.COLLECTED: now})
        freed = 0
        for output in past.outputs:
            bucket, prefix = bucket_and_key(output)
            if bucket != survey.bucket:
                self.log.warning("%s is kept: it is outside the bucket of the releases", output)
                continue
            freed += self._remove_objects(survey, output, survey.s3.objects(bucket, prefix))
        return freed + self._remove_objects(survey, past.home, folder)

    def _remove_objects(self, survey: Survey, where: str, objects: list[StoredObject]) -> int:
        size_bytes = sum(one.size_bytes for one in objects)
        if objects:
            self.log.info("Removing %d objects, %d bytes, from %s", len(objects), size_bytes, where)
            survey.s3.remove(survey.bucket, [one.key for one in objects])
        return size_bytes

    def _remove_unused(self, survey: Survey, resource: Resource) -> bool:
        self.log.info("Removing the %s %s, which no endpoint and no stack uses", resource.kind, resource.name)
        return survey.sagemaker.delete_resource(resource)
