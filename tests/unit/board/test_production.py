"""What production serves: by the survey's look, or by a deployment that is newer than it."""

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest

from slipway.board.live import Found
from slipway.board.production import production
from slipway.board.progress import Deployed
from slipway.live.snapshot import LiveEndpoint, LiveVariant, Looked

NOW = datetime(2026, 11, 29, 12, 0, tzinfo=UTC)
FIRST, SECOND = (f"arn:aws:sagemaker:us-west-2:123456789012:model-package/iris/{number}" for number in (1, 2))


def surveyed(seconds_ago: int) -> Found:
    at = (NOW - timedelta(seconds=seconds_ago)).isoformat()
    variant = LiveVariant("model-a", 1.0, 1, 1, "ml.c5.large", None, FIRST)
    endpoint = LiveEndpoint("iris-production", "arn", "iris", "production", "InService", "c", at, at, None, (variant,))
    return Found({"iris": [endpoint]}, (Looked(at, 1),))


@pytest.mark.parametrize(
    ("looked_seconds_ago", "words"),
    [(10, "v1"), (50, "v1 · 90 % and v2 · 10 %")],
)
def test_a_deployment_after_the_last_look_counts_until_the_next_one(looked_seconds_ago, words):
    newest, left = (
        Deployed(7, "run", NOW - timedelta(seconds=30)),
        {7: SimpleNamespace(shares={FIRST: 0.9, SECOND: 0.1})},
    )
    assert production("iris", surveyed(looked_seconds_ago), newest, left, NOW).words == words


def test_without_a_deployment_of_slipways_the_survey_counts():
    assert production("iris", surveyed(50), None, {}, NOW).words == "v1"
