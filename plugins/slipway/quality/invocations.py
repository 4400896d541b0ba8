"""Rows sent to an endpoint one after another, for a fraction of the CPU time that boto3 takes for each."""

from __future__ import annotations

import time
from functools import cached_property
from typing import Any

from airflow.sdk.configuration import conf
from botocore.awsrequest import AWSRequest
from botocore.exceptions import BotoCoreError, ClientError

from slipway.aws.sagemaker import Invocation
from slipway.aws.session import AwsHook
from slipway.load.signing import RequestSigner, Target
from slipway.metrics.catalogue import AWS_REQUESTS
from slipway.metrics.record import record

_OK = 200


class LightInvocationHook(AwsHook):
    """Invoke endpoints by the connections of boto3's client, signed as the load engine signs.

    A release sends its test rows in 150 requests. Whatever is no answer of the model is left to boto3's client, which
    the caller asks then: it knows AWS's errors, and a second request only costs another prediction.
    """

    service = "sagemaker-runtime"

    def invoke(self, endpoint_name: str, body: bytes, *, target_variant: str | None = None) -> Invocation | None:
        """Ask an endpoint for a prediction, CSV in and CSV out.

        https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_runtime_InvokeEndpoint.html

        :param endpoint_name: the endpoint's name
        :param body: a CSV row without its label
        :param target_variant: the variant that must answer; chosen by weight if None
        :returns: the prediction; None where there is none, or where Airflow traces, which boto3's client is watched for
        """
        if self._traced:
            return None
        try:
            request = self._signed(endpoint_name, body, target_variant)
            started = time.perf_counter()
            response = self._http.send(request)
        except (BotoCoreError, ClientError):
            return None
        latency_ms = (time.perf_counter() - started) * 1000
        if response.status_code != _OK:
            return None
        record(AWS_REQUESTS, 1, service="sagemaker-runtime", operation="InvokeEndpoint", outcome="ok", code="")
        return Invocation(response.content, response.headers.get("x-amzn-invoked-production-variant"), latency_ms)

    def _signed(self, endpoint_name: str, body: bytes, variant: str | None) -> Any:
        meta = self.conn.meta
        target = Target(meta.endpoint_url, meta.region_name, meta.service_model.signing_name, endpoint_name, variant)
        # The credentials of a role are renewed here before they expire.
        credentials = self._credentials.get_frozen_credentials()
        key = (target, credentials)
        if key not in self._signers:
            self._signers[key] = RequestSigner(target, credentials)
        headers = {**self._signers[key].headers(body), "User-Agent": meta.config.user_agent}
        return AWSRequest("POST", target.url, headers=headers, data=body).prepare()

    @cached_property
    def _traced(self) -> bool:
        return bool(conf.getboolean("traces", "otel_on", fallback=False))

    @cached_property
    def _signers(self) -> dict[Any, RequestSigner]:
        return {}

    @cached_property
    def _credentials(self) -> Any:
        return self.get_session().get_credentials()

    @cached_property
    def _http(self) -> Any:
        """The client's own connections, with its proxies, certificates and timeouts."""
        return self.conn._endpoint.http_session
