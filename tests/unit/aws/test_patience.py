"""Retries of calls: transient errors until a deadline, for every method of every client."""

import asyncio
import importlib
import inspect
import logging
import pkgutil
import time

import pytest
import tenacity.nap
from botocore.exceptions import EndpointConnectionError, ParamValidationError

import slipway
from slipway.aws import patience
from slipway.aws.calls import aws_call
from slipway.aws.patience import patient, without_patience
from slipway.aws.s3 import S3Store
from slipway.errors import AwsError
from tests.unit.own_time import give_time
from tests.unit.scripted_aws import Script, client_error

MODULES = [
    importlib.import_module(module.name)
    for module in pkgutil.walk_packages(slipway.__path__, "slipway.")
    if not module.name.endswith(".__main__")
]
REFUSED = EndpointConnectionError(endpoint_url="http://127.0.0.1:9")
# A retry may send a message twice; its caller sends it again when it failed.
# StackDriftHook.wait is made of steps that have it.
IMPATIENT = {
    *("SnsPublishHook.publish", "AwsHook.get_session", "AwsHook.get_client_type", "StackDriftHook.wait"),
    # What it does not get, a patient method asks for.
    "LightInvocationHook.invoke",
}


class Hook:
    log = logging.getLogger("patience")

    def __init__(self, *answers, raw=False):
        self.script, self.raw = Script(*answers), raw

    @patient
    def ask(self):
        """Asks."""
        if self.raw:
            return self.script()
        with aws_call("describe the stack", "mlops-deploy-iris-model-dev"):
            return self.script()


@pytest.fixture
def patience_of(monkeypatch):
    """Sets the patience in seconds."""
    return lambda seconds: monkeypatch.setenv("AIRFLOW__SLIPWAY__AWS_PATIENCE_SECONDS", str(seconds))


@pytest.fixture(autouse=True)
def pauses(monkeypatch):
    """The pauses that were made; they take a hundredth of their time."""
    made = []
    give_time(monkeypatch, tenacity.nap, sleep=lambda seconds: (made.append(seconds), time.sleep(seconds / 100)))
    return made


@pytest.mark.parametrize("error", [REFUSED, client_error("ThrottlingException"), client_error("Whatever", status=503)])
@pytest.mark.parametrize("raw", [False, True])
def test_what_may_pass_is_asked_for_again(patience_of, pauses, caplog, error, raw):
    patience_of(300)
    hook = Hook(error, error, "answer", raw=raw)
    assert hook.ask() == "answer"
    assert len(hook.script.calls) == 3
    assert len(pauses) == 2
    warnings = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert len(warnings) == 2
    assert all(str(error) in text or "says AWS" in text for text in warnings)
    assert all("at most 300 s" in text for text in warnings)
    assert "AWS answers again" in caplog.text


def test_pauses_grow_but_never_beyond_ten_seconds(patience_of, pauses):
    patience_of(300)
    assert Hook(*[REFUSED] * 12, "answer").ask() == "answer"
    assert all(0 <= pause <= patience.PAUSE_LIMIT_SECONDS for pause in pauses)
    assert pauses[0] <= 0.5


@pytest.mark.parametrize(
    "error",
    [
        client_error("AccessDenied", status=403),
        client_error("ValidationException"),
        client_error("ResourceInUse"),
        # A client keeps its credentials.
        client_error("ExpiredToken"),
        ParamValidationError(report="Missing required parameter"),
    ],
)
def test_what_another_attempt_cannot_mend_is_told_at_once(patience_of, error):
    patience_of(300)
    hook = Hook(error)
    with pytest.raises(AwsError):
        hook.ask()
    assert len(hook.script.calls) == 1


def test_an_error_of_ours_is_told_at_once(patience_of):
    patience_of(300)
    hook = Hook(KeyError("a bug"))
    with pytest.raises(KeyError):
        hook.ask()
    assert len(hook.script.calls) == 1


def test_the_last_error_is_told_at_the_deadline(patience_of):
    patience_of(0.2)
    hook = Hook(REFUSED)
    with pytest.raises(AwsError, match=r"Cannot describe the stack \(mlops-deploy-iris-model-dev\)") as raised:
        hook.ask()
    assert raised.value.transient
    assert len(hook.script.calls) > 1


def test_who_waits_in_another_way_hears_of_every_error_in_threads_too(patience_of):
    patience_of(300)
    hook = Hook(REFUSED)

    async def ask():
        with without_patience():
            await asyncio.to_thread(hook.ask)

    with pytest.raises(AwsError):
        asyncio.run(ask())
    assert len(hook.script.calls) == 1


def test_the_default_is_five_minutes(monkeypatch):
    monkeypatch.delenv("AIRFLOW__SLIPWAY__AWS_PATIENCE_SECONDS")
    assert patience.patience_seconds() == 300


def test_every_method_of_every_hook_has_patience():
    """A method that may not be repeated as a whole has to say so here."""
    methods = {
        f"{kind.__name__}.{name}": method
        for module in MODULES
        for kind in vars(module).values()
        if inspect.isclass(kind) and kind.__module__ == module.__name__
        if kind.__name__.endswith("Hook") or issubclass(kind, S3Store)
        for name, method in vars(kind).items()
        if inspect.isfunction(method) and not name.startswith("_")
    }
    impatient = {name for name, method in methods.items() if not getattr(method, "is_patient", False)}
    # Made of nothing but a call of one that has it.
    patient_ones = {"describe_or_none", "delete", "head", "metric_data", "tagged", "tagged_resource", "values_of"}
    delegating = {name for name in impatient if patient_ones & set(methods[name].__code__.co_names)}
    assert impatient - delegating == IMPATIENT
    known = {"CloudFormationHook.describe_stack", "S3Documents.write", "S3Versions.sequence"}
    assert known <= methods.keys() - impatient
