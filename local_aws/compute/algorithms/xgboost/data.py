"""Reads CSV and libsvm, as training data and as requests.

https://docs.aws.amazon.com/sagemaker/latest/dg/xgboost.html#InputOutput-XGBoost
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from scipy.sparse import csr_matrix, vstack

from local_aws.compute.algorithms.xgboost.errors import UserError

CSV_TYPES = ("csv", "text/csv")
LIBSVM_TYPES = ("libsvm", "text/libsvm", "text/x-libsvm")
# What SageMaker's container reads and this one does not: it has no library for them.
_OTHER_TYPES = ("parquet", "application/x-parquet", "recordio-protobuf", "application/x-recordio-protobuf")
_GZIP = b"\x1f\x8b"


@dataclass(frozen=True)
class Examples:
    """Training data; missing features are NaN in dense data and absent in sparse data."""

    features: Any
    labels: np.ndarray
    weights: np.ndarray | None = None
    # The query of each row, for ranking.
    queries: np.ndarray | None = None


def media_type(content_type: str) -> str:
    """Return a content type without its parameters, in lower case."""
    return content_type.partition(";")[0].strip().lower()


def not_read_here(kind: str) -> str | None:
    """Return why a type that SageMaker's container reads is not read here; None for every other type."""
    if kind not in _OTHER_TYPES:
        return None
    return (
        f"The local AWS reads CSV and libsvm only. SageMaker's XGBoost takes {kind} too, so try that on a real account."
    )


def _check_label_size(content_type: str) -> None:
    """Refuse a number of label columns other than one, as the container's get_content_type does.

    :raises UserError: with its text
    """
    for parameter in content_type.lower().split(";")[1:]:
        name, _, value = parameter.partition("=")
        if name.strip() == "label_size" and value.strip().strip('"') != "1":
            raise UserError(
                f"{content_type} is not an accepted csv ContentType. Optional parameter label_size must be equal to 1"
            )


def parse_csv(text: str) -> np.ndarray:
    """Return the rows of headerless CSV as numbers, empty fields as NaN.

    :raises ValueError: a field is not a number, or the rows differ in length
    """
    rows = [line for line in text.splitlines() if line.strip()]
    # The container finds the delimiter by the first line too. Spaces also stand beside another one.
    delimiter: str | None = next((mark for mark in ",\t;|" if rows and mark in rows[0]), ",")
    if rows and delimiter and delimiter not in rows[0] and len(rows[0].split()) > 1:
        delimiter = None
    # float() in a loop beats numpy's readers for the few rows of a request, and accepts empty fields.
    return np.array(
        [[float(field) if field.strip() else np.nan for field in row.split(delimiter)] for row in rows],
        dtype=np.float32,
    )


def parse_libsvm(text: str, *, labelled: bool) -> Examples:
    """Read lines such as `1:0.5 qid:7 0:2.5 3:1`: label and weight, query, index and value.

    https://xgboost.readthedocs.io/en/stable/tutorials/input_format.html

    :param labelled: whether every row has a label, and may have a query; requests may have no label
    :raises ValueError: a row is not in this form
    """
    labels, weights, queries, values, columns, starts = [], [], [], [], [], [0]
    for line in filter(None, (line.split("#", 1)[0].strip() for line in text.splitlines())):
        fields = line.split()
        if labelled or ":" not in fields[0]:
            label, _, weight = fields.pop(0).partition(":")
            labels.append(float(label))
            weights.append(float(weight or 1))
        if labelled and fields and fields[0].startswith("qid:"):
            queries.append(int(fields.pop(0).removeprefix("qid:")))
        for field in fields:
            column, colon, value = field.partition(":")
            if not colon or int(column) < 0:
                raise ValueError(f"'{field}' is not <index>:<value>")
            columns.append(int(column))
            values.append(float(value))
        starts.append(len(columns))
    width = max(columns, default=-1) + 1
    matrix = csr_matrix((np.array(values, np.float32), columns, starts), shape=(len(starts) - 1, width))
    if queries and len(queries) != len(labels):
        raise ValueError("some rows have a qid and others have none")
    weighted = any(weight != 1 for weight in weights)
    return Examples(
        matrix,
        np.array(labels, np.float32),
        np.array(weights, np.float32) if weighted else None,
        np.array(queries, np.uint32) if queries else None,
    )


def read_channel(folder: Path, content_type: str | None, *, csv_weights: bool) -> Examples:
    """Read every data file of a channel; names that begin with a dot or an underscore are skipped.

    :param content_type: of the channel; libsvm by default
    :param csv_weights: whether the second column holds the weights of the rows
    :raises UserError: the content type is not supported, or a file is not of it
    """
    kind = media_type(content_type or "libsvm")
    if reason := not_read_here(kind):
        raise UserError(reason)
    if kind in CSV_TYPES:
        _check_label_size(content_type or "")
    if kind not in CSV_TYPES + LIBSVM_TYPES:
        raise UserError(f"{content_type} is not an accepted ContentType: {', '.join(CSV_TYPES + LIBSVM_TYPES)}.")
    files = sorted(path for path in folder.rglob("*") if path.is_file() and path.name[0] not in "._")
    parts = [_read_file(path, is_csv=kind in CSV_TYPES, csv_weights=csv_weights) for path in files]
    parts = [part for part in parts if len(part.labels)]
    if not parts:
        raise UserError(f"No data in channel {folder.name}")
    return _join(parts, folder.name)


def _read_file(path: Path, *, is_csv: bool, csv_weights: bool) -> Examples:
    content = path.read_bytes()
    if content.startswith(_GZIP):
        raise UserError(f"'{path.name}' is compressed with gzip. XGBoost reads plain files: decompress it first.")
    text = content.decode("utf-8", errors="replace")
    try:
        if not is_csv:
            return parse_libsvm(text, labelled=True)
        table = parse_csv(text)
    except ValueError as error:
        first = text.partition("\n")[0][:50]
        name = "CSV" if is_csv else "LIBSVM"
        raise UserError(
            f"'{path.name}' cannot be read: {error}. Its first line is '{first}...'. "
            f"Please ensure the file is in '{name}' format."
        ) from error
    if not len(table):
        return Examples(np.empty((0, 0), np.float32), np.empty(0, np.float32))
    features_from = 2 if csv_weights else 1
    return Examples(table[:, features_from:], table[:, 0], table[:, 1] if csv_weights else None)


def _join(parts: list[Examples], channel: str) -> Examples:
    widths = {part.features.shape[1] for part in parts}
    weights = None
    if any(part.weights is not None for part in parts):
        weights = np.concatenate([np.ones_like(p.labels) if p.weights is None else p.weights for p in parts])
    labels = np.concatenate([part.labels for part in parts])
    queries = None
    if any(part.queries is not None for part in parts):
        if any(part.queries is None for part in parts):
            raise UserError(f"Some files of channel {channel} have a qid in each row, and others have none")
        queries = np.concatenate([part.queries for part in parts])
    if isinstance(parts[0].features, np.ndarray):
        if len(widths) > 1:
            raise UserError(f"The files of channel {channel} differ in their number of columns: {sorted(widths)}")
        return Examples(np.concatenate([part.features for part in parts]), labels, weights)
    return Examples(_stack([part.features for part in parts], max(widths)), labels, weights, queries)


def _stack(matrices: list[csr_matrix], width: int) -> csr_matrix:
    return vstack([widen(matrix, width) for matrix in matrices]).tocsr()


def widen(matrix: csr_matrix, width: int) -> csr_matrix:
    """Return a sparse matrix with at least that many columns; the added ones are empty."""
    wide = max(width, matrix.shape[1])
    return csr_matrix((matrix.data, matrix.indices, matrix.indptr), shape=(matrix.shape[0], wide))
