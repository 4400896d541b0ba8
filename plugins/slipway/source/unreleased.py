"""Uploads that cannot be released yet: which of them go on waiting, and what people read about the others."""

from __future__ import annotations

import logging
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from slipway import names
from slipway.source.versions import ObjectVersion

# So many uploads to a key without a model wait. The watcher reads what is stored of them every few seconds, and each of
# them starts a run when its model is there.
WAITING_MAX = 20


@dataclass(frozen=True)
class Unreleased:
    """A version without a run.

    :param why: why it waits, after its name; empty where Airflow has refused its run
    """

    version: ObjectVersion
    why: str


def waiting_on(
    where: str, found: Sequence[Unreleased], known: Collection[str], log: logging.Logger, *, has_model: bool
) -> list[str]:
    """Choose the versions of a key that go on waiting, and log what is new.

    All of them do whose model is there: a broken file, a missing DAG or a refusal of Airflow's ends within hours, and
    then each of them is a release.

    :param where: the key's S3 URI
    :param found: the versions without a run, the oldest first
    :param known: the ids of those that have waited before
    :param log: the intake's log
    :param has_model: whether a model has the key
    :returns: the ids of those that wait, the oldest first
    """
    passed = [] if has_model else found[:-WAITING_MAX]
    if passed:
        log.warning(
            "%s: only the newest %d uploads wait, so %d will not be released, uploaded from %s to %s. Fix: add "
            "the model file, or end these uploads; to release one of them then, %s",
            where,
            WAITING_MAX,
            len(passed),
            passed[0].version.last_modified,
            passed[-1].version.last_modified,
            names.RELEASE_A_VERSION,
        )
    kept = found[len(passed) :]
    for one in kept:
        if one.why:
            # Log it once, not at every run.
            say = log.debug if one.version.version_id in known else log.warning
            say("%s version %s %s", where, one.version.version_id, one.why)
    return [one.version.version_id for one in kept]
