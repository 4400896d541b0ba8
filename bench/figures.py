"""The figures of one measurement of load."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Figures:
    """One way to send requests, measured for some seconds.

    :param rps: answers each second
    :param requests: how many were answered
    :param p50_ms: median latency
    :param p99_ms: 99th percentile of the latency
    :param cpu_us: CPU time of the sender for each answer, in microseconds
    :param gateway_us: CPU time of the local AWS for each answer, in microseconds
    :param model_us: CPU time of the model server for each answer, in microseconds
    """

    rps: float
    requests: int
    p50_ms: float
    p99_ms: float
    cpu_us: float
    gateway_us: float = 0.0
    model_us: float = 0.0
