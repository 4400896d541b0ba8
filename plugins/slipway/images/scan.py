"""The task ``scan``: what ECR has found in the image, compared with what the model file lets pass."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, get_args

from airflow.sdk import BaseOperator

from slipway.aws.clients import client
from slipway.aws.ecr import EcrHook, ScanResult
from slipway.errors import ScanFailed
from slipway.host.task_errors import TaskErrors
from slipway.images.wait import ScanTrigger
from slipway.model.image_build import Severity
from slipway.plan import result_needed
from slipway.validation import shortened
from slipway.waiting.results import WaitOutcome, WaitResult

if TYPE_CHECKING:
    from airflow.sdk import Context

    from slipway.model.config import ModelConfig
    from slipway.model.image_build import ImageBuild

BUILD, SCAN = "build", "scan"
# A scan takes seconds to minutes. https://docs.aws.amazon.com/AmazonECR/latest/userguide/image-scanning-basic.html
_WAIT_SECONDS = 1800.0
# With Amazon Inspector the findings of an image are kept up to date, and its scan has no end.
_READABLE = ("COMPLETE", "ACTIVE")
_UNDER_WAY = (None, "IN_PROGRESS", "PENDING")
_SEVERITIES: tuple[Severity, ...] = get_args(Severity)
_FIX = (
    "update what is named, in requirements.txt or by a newer base image, and upload the source again; or have "
    "image.build.max_findings changed"
)


class ScanImageOperator(TaskErrors, BaseOperator):
    """Wait without a slot until the image is scanned, and fail if the scan has found more than the model file allows.

    :param model: the model file
    :param bounds: what the scan may find, by severity
    """

    template_fields = ()
    ecr = client(EcrHook)

    def __init__(self, *, model: ModelConfig, bounds: ImageBuild, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.model = model
        self.bounds = bounds
        self.aws_conn_id = model.aws_conn_id

    def execute(self, context: Context) -> dict[str, Any]:
        """Look at the scan, and wait for its end.

        :param context: the task's Airflow context
        :returns: the findings by severity
        :raises slipway.errors.ScanFailed: when it has found too much, or cannot be made
        """
        image = result_needed(context, BUILD)
        repository, digest = image["repository"], image["digest"]
        status = self.ecr.scan_status(repository, digest)
        if status in _UNDER_WAY:
            self.defer(
                trigger=ScanTrigger(
                    repository=repository,
                    digest=digest,
                    deadline=time.time() + _WAIT_SECONDS,
                    poll_seconds=self.model.timeouts.poll_seconds,
                    aws_conn_id=self.aws_conn_id,
                ),
                method_name="resume",
            )
        if status not in _READABLE:
            raise _no_scan(f"{repository}@{digest}", f"the scan is {status}")
        return self._judge(image)

    def resume(self, context: Context, event: dict[str, Any] | None) -> dict[str, Any]:
        """Continue when the scan has ended or its deadline has passed.

        :param context: the task's Airflow context
        :param event: how the wait ended
        :returns: as execute
        """
        image = result_needed(context, BUILD)
        name = f"{image['repository']}@{image['digest']}"
        result = WaitResult.from_event(event)
        if result.outcome is WaitOutcome.REFUSED:
            raise result.refused("Cannot watch the image's scan", name)
        if result.outcome is not WaitOutcome.REACHED:
            said = " ".join(filter(None, (result.status, result.reason))) or "ECR shows none"
            ended = "it has not ended in time: " if result.outcome is WaitOutcome.TIMEOUT else ""
            raise _no_scan(name, f"{ended}{said}")
        return self._judge(image)

    def _judge(self, image: Mapping[str, Any]) -> dict[str, Any]:
        repository, digest = image["repository"], image["digest"]
        found = self.ecr.scan_result(repository, digest)
        if problems := too_much(found, self.bounds.max_findings):
            raise ScanFailed(
                "The image's scan has found more than the model file allows",
                resource=f"{repository}@{digest}",
                why="\n".join(problems),
                fix=_FIX,
            )
        self.log.info("The scan has found %s", found.counts or "nothing")
        return {"findings": {name: found.counts[name] for name in _SEVERITIES if found.counts.get(name)}}


def too_much(found: ScanResult, allowed: Mapping[Severity, int]) -> list[str]:
    """Say where a scan has found more than is allowed: a line for each severity, and one for each of its findings.

    :param found: what the scan has found
    :param allowed: how many findings may be, by severity; a severity that is not there has no limit
    """
    lines = []
    for severity in _SEVERITIES:
        count, most = found.counts.get(severity, 0), allowed.get(severity)
        if most is None or count <= most:
            continue
        lines.append(f"{count} findings are {severity}, allowed are {most}:")
        named = [f"{one.name} in {one.package or 'the image'}" for one in found.findings if one.severity == severity]
        lines += shortened(sorted(named))
    return lines


def _no_scan(name: str, why: str) -> ScanFailed:
    return ScanFailed(
        "The image has no finished scan, so nobody knows what is in it",
        resource=name,
        why=why,
        fix="begin a scan with aws ecr start-image-scan, and clear this task after it has ended",
    )
