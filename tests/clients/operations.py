"""What each client does against the local AWS, in the table of docs/local-aws.md: the suites check every cell.

`tests/docs/test_clients_table.py` compares the page with `table()`.
"""

WORKS, NONE = "works", "-"
# The name that a refusal contains.
REFUSED = "refused: {}"

CLIENTS = {
    "cli1": "AWS CLI 1.46",
    "cli2": "AWS CLI 2.23",
    "sdk2": "SageMaker SDK 2.257",
    "sdk3": "SageMaker SDK 3.27",
    "javascript": "JavaScript SDK 3",
    "cdk": "CDK 2 (synthesised)",
}
_NO_CDK = ("cli1", "cli2", "sdk2", "sdk3", "javascript")
_SDKS = ("sdk2", "sdk3")
_OTHERS = ("cli1", "cli2", "javascript")

# Operation → the clients that have it, and what comes of it.
_ROWS: list[tuple[str, tuple[str, ...], str]] = [
    ("who am I (STS)", _NO_CDK, WORKS),
    ("the SDK's default bucket", _SDKS, WORKS),
    ("upload to S3, list", _NO_CDK, WORKS),
    ("train the built-in XGBoost", _NO_CDK, WORKS),
    ("the job's metrics in CloudWatch", ("cli1", "cli2", "sdk2", "javascript"), WORKS),
    ("the job's log", (*_OTHERS, "sdk2", "sdk3"), WORKS),
    ("Search", _NO_CDK, WORKS),
    ("deploy an endpoint with data capture", (*_NO_CDK, "cdk"), WORKS),
    ("predict: CSV, JSON, JSON lines", _NO_CDK, WORKS),
    ("register a model", _NO_CDK, WORKS),
    ("delete what was made", (*_NO_CDK, "cdk"), WORKS),
    ("a stack (CloudFormation)", ("cli1", "cli2", "cdk"), WORKS),
    ("buckets, topics, queues, keys, roles, alarms, log groups", ("cdk",), WORKS),
    ("a script of one's own", ("sdk2", "sdk3"), REFUSED.format("a script of your own cannot be run")),
    ("processing jobs", _NO_CDK, REFUSED.format("CreateProcessingJob")),
    ("batch transform", ("sdk2", *_OTHERS), REFUSED.format("CreateTransformJob")),
    ("hyperparameter tuning", ("sdk2", *_OTHERS), REFUSED.format("CreateHyperParameterTuningJob")),
    ("pipelines", ("sdk2", *_OTHERS), REFUSED.format("CreatePipeline")),
    ("asynchronous inference", _OTHERS, REFUSED.format("InvokeEndpointAsync")),
    ("a service that is not here (Lambda)", _OTHERS, REFUSED.format("no lambda")),
    ("assets and custom resources", ("cdk",), REFUSED.format("AWS::Lambda::Function")),
]
OPERATIONS = [operation for operation, _, _ in _ROWS]


def expected(client: str) -> dict[str, str]:
    """Return what each operation of a client comes to."""
    return {operation: outcome for operation, clients, outcome in _ROWS if client in clients}


def table() -> str:
    """Return the table in Markdown."""
    lines = ["| | " + " | ".join(CLIENTS.values()) + " |", "|---|" + "---|" * len(CLIENTS)]
    for operation, clients, outcome in _ROWS:
        said = WORKS if outcome == WORKS else f"`{outcome.removeprefix('refused: ')}`"
        lines.append(f"| {operation} | " + " | ".join(said if one in clients else NONE for one in CLIENTS) + " |")
    return "\n".join(lines) + "\n"


def agrees(outcome: str, wanted: str) -> bool:
    """Tell whether an outcome is the wanted one: it works, or is refused by the name."""
    if wanted == WORKS:
        return outcome == WORKS
    return outcome.startswith("refused: ") and wanted.removeprefix("refused: ") in outcome
