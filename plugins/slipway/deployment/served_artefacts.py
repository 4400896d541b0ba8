"""Check that the artefacts that endpoints load are those on record, before each change and in production."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from slipway.errors import ArtefactChanged
from slipway.notices.news import about_error
from slipway.notices.send import Notice, Notices
from slipway.registry import artefact
from slipway.registry.artefact_store import S3Artefacts
from slipway.registry.finding import package_of_artefact
from slipway.registry.hook import ModelRegistryHook

if TYPE_CHECKING:
    from airflow.sdk import Context

    from slipway.model.config import ModelConfig


class ServedArtefacts:
    """The artefacts of one model, and the model packages that they were registered with.

    :param group: the model package group's name
    :param registry: the Model Registry
    :param artefacts: where the artefacts are
    """

    def __init__(self, group: str, registry: ModelRegistryHook, artefacts: S3Artefacts) -> None:
        self._group, self._registry, self._artefacts = group, registry, artefacts

    def check(self, urls: Iterable[str], known: Mapping[str, Any] | None = None) -> None:
        """Refuse artefacts that are not those on record.

        :param urls: S3 URIs, as from parameters.data_urls
        :param known: a model package that was read already; the others are looked up
        :raises ArtefactChanged: for the first artefact that is not the one on record
        :raises slipway.errors.AwsError: when a call fails
        """
        for url in urls:
            package = known if known and artefact.data_url(known) == url else None
            package = package or package_of_artefact(self._group, url, self._registry, self._artefacts.s3)
            self._artefacts.check(artefact.on_record(package, url))

    def changed(self, urls: Iterable[str]) -> list[ArtefactChanged]:
        """Find all artefacts that are not those on record.

        :param urls: S3 URIs
        :returns: one error for each
        :raises slipway.errors.AwsError: when a call fails
        """
        found = []
        for url in urls:
            try:
                self.check([url])
            except ArtefactChanged as error:
                found.append(error)
        return found


def notify_changed(error: ArtefactChanged, model: ModelConfig, context: Context) -> None:
    """Notify the people who are told of the model's news that an artefact has changed.

    :param error: what has changed
    :param model: the model file's content
    :param context: the context of the task that found it
    """
    message = about_error(Notice.ARTEFACT_CHANGED, error, context, what="A model's artefact is not the one on record")
    error.told = Notices.of_news(model).send(message, context, model.aws_conn_id)
