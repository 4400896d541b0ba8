"""CodeBuild: builds of a project, started once, found again, and stopped."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from botocore.exceptions import ClientError

from slipway import paths
from slipway.aws.calls import aws_call
from slipway.aws.patience import patient
from slipway.aws.session import AwsHook

WAITER_PATH = paths.waiters("codebuild")

# https://docs.aws.amazon.com/codebuild/latest/APIReference/API_BatchGetBuilds.html
_MAX_IDS = 100
_GONE_CODES = ("ResourceNotFoundException",)
_FIX = "set the account up again with slipway bootstrap, which makes the project of each model with an image"


class CodeBuildHook(AwsHook):
    """Builds.

    https://docs.aws.amazon.com/codebuild/latest/APIReference/API_Operations.html
    """

    service = "codebuild"

    @property
    def waiter_path(self) -> os.PathLike[str]:
        """The waiters of this package, not those of the provider."""
        return WAITER_PATH

    @patient
    def start_build(self, parameters: Mapping[str, Any]) -> dict[str, Any]:
        """Start a build; with the idempotency token of one that was started, return that one.

        https://docs.aws.amazon.com/codebuild/latest/APIReference/API_StartBuild.html

        :param parameters: the operation's parameters, with an idempotencyToken, which is valid for five minutes
        :returns: the build
        :raises slipway.errors.AwsError: when the call fails
        """
        with aws_call("start the build", parameters["projectName"], fix=_FIX):
            return self.conn.start_build(**parameters)["build"]

    @patient
    def builds(self, ids: Sequence[str]) -> list[dict[str, Any]]:
        """Describe builds.

        https://docs.aws.amazon.com/codebuild/latest/APIReference/API_BatchGetBuilds.html

        :param ids: the builds' ids
        :returns: those that exist; one call for each hundred
        :raises slipway.errors.AwsError: when a call fails
        """
        found: list[dict[str, Any]] = []
        for start in range(0, len(ids), _MAX_IDS):
            some = list(ids[start : start + _MAX_IDS])
            with aws_call("describe the builds", some[0]):
                found += self.conn.batch_get_builds(ids=some)["builds"]
        return found

    @patient
    def builds_since(self, project: str, since: datetime) -> list[dict[str, Any]]:
        """Describe the builds of a project that were started since a moment.

        https://docs.aws.amazon.com/codebuild/latest/APIReference/API_ListBuildsForProject.html

        :param project: the project's name
        :param since: the moment; two calls for each hundred builds since then
        :returns: the builds, the newest first
        :raises slipway.errors.AwsError: when a call fails
        """
        found: list[dict[str, Any]] = []
        with aws_call("list the builds", project, fix=_FIX):
            for ids in self._pages("list_builds_for_project", projectName=project):
                builds = self.builds(ids)
                found += [build for build in builds if build["startTime"] >= since]
                if any(build["startTime"] < since for build in builds):
                    break
        return found

    @patient
    def newest_ids(self, pages: int) -> list[str]:
        """List the account's newest builds, of all projects.

        https://docs.aws.amazon.com/codebuild/latest/APIReference/API_ListBuilds.html

        :param pages: how many pages of a hundred at most
        :returns: the builds' ids, the newest first
        :raises slipway.errors.AwsError: when a call fails
        """
        with aws_call("list the builds", "of the account"):
            listed = self._pages("list_builds")
            return [build_id for _, ids in zip(range(pages), listed, strict=False) for build_id in ids]

    @patient
    def stop_build(self, build_id: str) -> bool:
        """Stop a build; one that has ended stays as it is.

        https://docs.aws.amazon.com/codebuild/latest/APIReference/API_StopBuild.html

        :param build_id: the build
        :returns: False if there is no such build
        :raises slipway.errors.AwsError: when the call fails
        """
        with aws_call("stop the build", build_id):
            try:
                self.conn.stop_build(id=build_id)
            except ClientError as error:
                if error.response["Error"]["Code"] in _GONE_CODES:
                    return False
                raise
        return True

    def _pages(self, operation: str, **parameters: Any) -> Iterator[list[str]]:
        pages = self.conn.get_paginator(operation).paginate(sortOrder="DESCENDING", **parameters)
        for page in pages:
            if ids := page.get("ids"):
                yield ids
