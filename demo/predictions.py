"""Send held-out rows to an endpoint and count the correct predictions."""

from __future__ import annotations

import statistics
import time
from collections import Counter
from dataclasses import dataclass

from demo.datasets import features
from tools.aws import client
from tools.settings import Settings


@dataclass(frozen=True)
class Answers:
    """The answers of one endpoint, summed up."""

    endpoint: str
    rows: int
    accuracy: float
    variants: dict[str, int]
    median_milliseconds: float
    slowest_milliseconds: float


def ask(settings: Settings, endpoint: str, rows: list[list[float]]) -> Answers:
    """Invoke the endpoint once for each row.

    https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_runtime_InvokeEndpoint.html

    :param rows: label first
    """
    runtime = client(settings, "sagemaker-runtime")
    right, variants, milliseconds = 0, Counter[str](), []
    for row in rows:
        begun = time.perf_counter()
        answer = runtime.invoke_endpoint(
            EndpointName=endpoint, ContentType="text/csv", Accept="text/csv", Body=features(row)
        )
        label = float(answer["Body"].read())
        milliseconds.append((time.perf_counter() - begun) * 1000)
        right += label == row[0]
        variants[answer["InvokedProductionVariant"]] += 1
    return Answers(
        endpoint,
        len(rows),
        right / len(rows),
        dict(variants),
        statistics.median(milliseconds),
        max(milliseconds),
    )
