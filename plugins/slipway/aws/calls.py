"""Translates boto3's errors into Slipway's; nothing else does."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from botocore.exceptions import BotoCoreError, ClientError, ResponseStreamingError
from botocore.parsers import ResponseParserError
from urllib3.exceptions import HTTPError

from slipway.aws.translation import translate


@contextmanager
def aws_call(what: str, resource: str, *, fix: str | None = None) -> Iterator[None]:
    """Translate what boto3 raises inside the block, by its error code.

    :param what: what was being done, as an infinitive: ``describe the training job``
    :param resource: name, ARN or URI of the resource concerned
    :param fix: what to do where the error code alone does not say it
    :raises slipway.errors.AwsError: for every error of the service or of the connection to it
    """
    try:
        yield
    except Exception as error:
        known = call_error(error)
        if known is None:
            raise
        raise translate(known, what=f"Cannot {what}", resource=resource, fix=fix) from error


def call_error(error: Exception) -> ClientError | BotoCoreError | None:
    """Return the error of boto3 that an error of a call comes to; None for one of another kind.

    Where an answer breaks off, botocore and aiobotocore let some errors of what is beneath them pass.
    https://docs.aiohttp.org/en/stable/client_reference.html#aiohttp.ClientPayloadError
    https://urllib3.readthedocs.io/en/stable/reference/urllib3.exceptions.html

    :param error: what was raised
    """
    if isinstance(error, ClientError | BotoCoreError):
        return error
    # Tasks do not need aiohttp; without its import none of its errors can be raised.
    aiohttp = sys.modules.get("aiohttp")
    broken = isinstance(error, HTTPError | ResponseParserError) or (aiohttp and isinstance(error, aiohttp.ClientError))
    return ResponseStreamingError(error=error) if broken else None
