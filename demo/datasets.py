"""scikit-learn's data sets in the format of SageMaker's algorithms: CSV, no header, the label first.

https://docs.aws.amazon.com/sagemaker/latest/dg/xgboost.html#InputOutput-XGBoost
"""

from __future__ import annotations

from dataclasses import dataclass

NAMES = ("iris", "wine")
# The MLU lab's split: a third is held out.
HELD_OUT_SHARE = 0.33
SEED = 42


@dataclass(frozen=True)
class Split:
    """Rows of one data set: the label first, then the features."""

    train: list[list[float]]
    held_out: list[list[float]]


def load(name: str) -> Split:
    """Split a data set with equal shares of the classes; every call returns the same rows.

    :param name: one of NAMES
    :raises ValueError: for another name
    """
    # Imported here: scikit-learn takes seconds to import. It contains the data sets, so no network is needed.
    from sklearn import datasets
    from sklearn.model_selection import train_test_split

    if name not in NAMES:
        raise ValueError(f"unknown data set {name!r}; there are {', '.join(NAMES)}")
    data = getattr(datasets, f"load_{name}")()
    rows = [[float(label), *map(float, row)] for row, label in zip(data.data, data.target, strict=True)]
    train, held_out = train_test_split(rows, test_size=HELD_OUT_SHARE, random_state=SEED, stratify=data.target)
    return Split(train, held_out)


def features(row: list[float]) -> str:
    """Return a row without its label, as an endpoint takes it."""
    return ",".join(f"{value:g}" for value in row[1:])


def to_csv(rows: list[list[float]]) -> bytes:
    """Return the rows as the file of a training channel."""
    return "".join(f"{row[0]:g},{features(row)}\n" for row in rows).encode()
