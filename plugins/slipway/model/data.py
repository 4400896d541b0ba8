"""Training data that other DAGs make: the section ``assets`` of a model file."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, Field

from slipway.model.fields import S3Uri
from slipway.validation import Strict, wrong

# https://airflow.apache.org/docs/apache-airflow/stable/authoring-and-scheduling/assets.html
_IDENTIFIER_MAX_CHARS = 1500


def _asset(text: str) -> str:
    # Airflow must know the asset when it reads the DAG file, and nobody has asked AWS for the account then.
    if "{" in text or not text.isascii() or text != text.strip():
        raise wrong("an asset's name or URI as its DAG writes it, without placeholders", "write region and account out")
    return text


class DataAsset(Strict):
    """Training data that a DAG of Airflow updates; an update releases the newest zip again.

    :param asset: the asset's name or URI, as that DAG writes it
    :param data: where the data is; a release follows only if something below it has changed
    """

    asset: Annotated[str, Field(min_length=1, max_length=_IDENTIFIER_MAX_CHARS), AfterValidator(_asset)]
    data: S3Uri
