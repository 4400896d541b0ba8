"""Search, over the resources that are here.

https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_Search.html
"""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

from local_aws.framework.api import Operation, RequestContext, ServiceError
from local_aws.framework.listing import paginate
from local_aws.framework.store import Document, Store
from local_aws.sagemaker.resources import invalid
from local_aws.sagemaker.tags import Tags, as_list

# Where each kind of resource is kept, and the members of its name and ARN.
_KINDS = {
    "Endpoint": ("endpoints", "EndpointName", "EndpointArn"),
    "ModelPackage": ("model_packages", "ModelPackageArn", "ModelPackageArn"),
    "ModelPackageGroup": ("model_package_groups", "ModelPackageGroupName", "ModelPackageGroupArn"),
    "TrainingJob": ("training_jobs", "TrainingJobName", "TrainingJobArn"),
}
_DEFAULT_SORT = "LastModifiedTime"


class Search:
    """The operation Search.

    :param store: where resources are kept
    :param tags: of all resources
    :param describe_endpoint: the operation DescribeEndpoint
    """

    def __init__(self, store: Store, tags: Tags, describe_endpoint: Operation) -> None:
        self._collections = {kind: store.collection(name) for kind, (name, _, _) in _KINDS.items()}
        self._tags = tags
        self._describe_endpoint = describe_endpoint

    def operations(self) -> dict[str, Operation]:
        """Return the operation by its name."""
        return {"Search": self._search}

    def _search(self, context: RequestContext, parameters: dict[str, Any]) -> dict[str, Any]:
        kind = parameters["Resource"]
        if kind not in _KINDS:
            raise invalid(f"The local AWS searches {', '.join(_KINDS)}. It has no {kind}.")
        expression = parameters.get("SearchExpression", {})
        _refuse_nested(expression)
        found = [one for one in self._documents(context, kind) if _fits(one, expression)]
        sort_by = parameters.get("SortBy", _DEFAULT_SORT)
        unique = _KINDS[kind][1]
        page, token = paginate(
            found,
            parameters,
            key=lambda document: (*_sortable(document, sort_by), document[unique]),
            descending=parameters.get("SortOrder", "Descending") == "Descending",
            default_size=100,
        )
        hits = {"Value": len(found), "Relation": "EqualTo"}
        return {"Results": [{kind: one} for one in page], "NextToken": token, "TotalHits": hits}

    def _documents(self, context: RequestContext, kind: str) -> Iterator[Document]:
        _, name, arn = _KINDS[kind]
        for document in self._collections[kind].list(context):
            described = document
            if kind == "Endpoint":
                try:
                    described = self._describe_endpoint(context, {name: document[name]})
                except ServiceError:
                    # It has been deleted meanwhile.
                    continue
            yield {**described, "Tags": as_list(self._tags.of(context, document[arn]))}


def _refuse_nested(expression: dict[str, Any]) -> None:
    if expression.get("NestedFilters"):
        raise invalid(
            "The local AWS offers no NestedFilters. Filter by a property such as InputDataConfig.ChannelName."
        )
    for one in expression.get("SubExpressions", []):
        _refuse_nested(one)


def _fits(document: Document, expression: dict[str, Any]) -> bool:
    """Tell whether a document is what an expression looks for; an empty one looks for everything."""
    answers = [_matches(document, one) for one in expression.get("Filters", [])]
    answers += [_fits(document, one) for one in expression.get("SubExpressions", [])]
    return not answers or (any(answers) if expression.get("Operator") == "Or" else all(answers))


def _matches(document: Document, wanted: dict[str, Any]) -> bool:
    values = list(_values(_readable(document), wanted["Name"]))
    operator = wanted.get("Operator") or ("Equals" if "Value" in wanted else "Exists")
    if operator in ("Exists", "NotExists"):
        return bool(values) is (operator == "Exists")
    if "Value" not in wanted:
        raise invalid(f"Filter on {wanted['Name']}: operator {operator} needs a Value.")
    value = wanted["Value"]
    if operator == "NotEquals":
        return not any(_compare(one, value, "Equals") for one in values)
    if operator == "In":
        return any(_compare(one, each.strip(), "Equals") for one in values for each in value.split(","))
    return any(_compare(one, value, operator) for one in values)


_COMPARISONS: dict[str, Callable[[Any, Any], bool]] = {
    "Equals": lambda one, other: one == other,
    "GreaterThan": lambda one, other: one > other,
    "GreaterThanOrEqualTo": lambda one, other: one >= other,
    "LessThan": lambda one, other: one < other,
    "LessThanOrEqualTo": lambda one, other: one <= other,
}


def _compare(one: Any, value: str, operator: str) -> bool:
    if operator == "Contains":
        return value in str(one)
    number, wanted = _number(one), _number(value)
    if number is not None and wanted is not None:
        return _COMPARISONS[operator](number, wanted)
    return _COMPARISONS[operator](str(one), value)


def _number(value: Any) -> float | None:
    """Return a number, or a time in ISO 8601 as epoch seconds; None for other texts."""
    try:
        return float(value)
    except (TypeError, ValueError):
        pass
    try:
        moment = datetime.fromisoformat(str(value))
    except ValueError:
        return None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def _readable(document: Document) -> dict[str, Any]:
    """Return a document whose tags and metrics are found by their names, as in `Tags.team` and `Metrics.train:auc`."""
    metrics = {metric["MetricName"]: metric["Value"] for metric in document.get("FinalMetricDataList", [])}
    return {**document, "Tags": {tag["Key"]: tag["Value"] for tag in document["Tags"]}, "Metrics": metrics}


def _values(found: Any, path: str) -> Iterator[Any]:
    """Yield what stands at a path of names with dots; of a list, what stands there in each of its items."""
    if isinstance(found, list):
        for one in found:
            yield from _values(one, path)
    elif not path:
        yield found
    elif isinstance(found, dict):
        for name, value in found.items():
            # Names of tags and hyperparameters may have dots themselves.
            if path == name or path.startswith(f"{name}."):
                yield from _values(value, path[len(name) + 1 :])


def _sortable(document: Document, path: str) -> tuple[int, float, str]:
    """Return values that can be compared with those of any other document: missing ones, numbers, texts."""
    value = next(
        iter(_values(_readable(document), path)), document.get("CreationTime") if path == _DEFAULT_SORT else None
    )
    if value is None:
        return 0, 0.0, ""
    number = _number(value)
    return (2, 0.0, str(value)) if number is None else (1, number, "")
