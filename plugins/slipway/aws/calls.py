"""Translates boto3's errors into Slipway's; nothing else does."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from botocore.exceptions import BotoCoreError, ClientError

from slipway.errors import translate


@contextmanager
def aws_call(what: str, resource: str) -> Iterator[None]:
    """Translate what boto3 raises inside the block, by its error code.

    :param what: what was being done, as an infinitive: ``describe the training job``
    :param resource: name, ARN or URI of the resource concerned
    :raises slipway.errors.AwsError: for every error of the service or of the connection to it
    """
    try:
        yield
    except (ClientError, BotoCoreError) as error:
        raise translate(error, what=f"Cannot {what}", resource=resource) from error
