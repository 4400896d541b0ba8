"""scikit-learn's own data sets in the form SageMaker's algorithms read: CSV, no header, the label first.

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
    """Splits one data set, the classes in equal shares; the same rows at every call.

    :param name: one of NAMES
    :raises ValueError: for another name
    """
    # Imported late: scikit-learn takes seconds, and the data sets come with it, so no network is needed.
    from sklearn import datasets
    from sklearn.model_selection import train_test_split

    if name not in NAMES:
        raise ValueError(f"unknown data set {name!r}; there are {', '.join(NAMES)}")
    data = getattr(datasets, f"load_{name}")()
    rows = [[float(label), *map(float, row)] for row, label in zip(data.data, data.target, strict=True)]
    train, held_out = train_test_split(rows, test_size=HELD_OUT_SHARE, random_state=SEED, stratify=data.target)
    return Split(train, held_out)


def features(row: list[float]) -> str:
    """A row without its label, as an endpoint takes it."""
    return ",".join(f"{value:g}" for value in row[1:])


def to_csv(rows: list[list[float]]) -> bytes:
    """The rows as a training channel's file."""
    return "".join(f"{row[0]:g},{features(row)}\n" for row in rows).encode()
