"""Whatever is stored where Slipway keeps its documents: it is read, or refused by an error of Slipway's own."""

import contextlib
import json
from copy import deepcopy
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

from hypothesis import event, example, given
from hypothesis import strategies as st

from slipway import names
from slipway.approval.answers import Question, read_answer
from slipway.aws.documents import Document, content_of
from slipway.errors import IntakeUnreadable, NotApproved, UnreadableDocument
from slipway.formats.stored import FORMAT_VERSION
from slipway.model.approval_rules import ApprovalStage, Rules
from slipway.plan import Revision
from slipway.registry.artefact import artefact_of
from slipway.registry.metadata import metrics_of
from slipway.registry.record import approvals_of, decision_of
from slipway.request.uploader import read_revision
from slipway.signed.orders import ORDER, Act, check
from slipway.source.claims import Claim, Claims
from slipway.source.intake import STATE_KEY, _committed
from slipway.stages.gate import StageGate, Ticket
from slipway.trial.record import record_of
from tests.generated import change, examples, values
from tests.unit.formats.test_stored import FOLDER, LATER, READERS, stored, widened
from tests.unit.stage_runs import MemoryDocuments

NAMES = sorted(set(READERS) - {"model-package", "intake"})
RULES = Rules((ApprovalStage("approval", ("alice",)),))
RUN = SimpleNamespace(dag_id="iris-model", run_id="manual__1", conf={})
PACKAGE = stored("model-package")


def changes(names: list[str]) -> st.SearchStrategy[tuple[str, Any]]:
    """Documents on file with up to three changes, or something else in their place, and their names."""

    @st.composite
    def made(draw) -> tuple[str, Any]:
        name = draw(st.sampled_from(names))
        document = deepcopy(stored(name))
        if draw(st.booleans()):
            # Each with unknown members of its own.
            document = json.loads(json.dumps(widened(document)))
        for _ in range(draw(st.integers(0, 3))):
            change(document, draw)
        return name, draw(values) if draw(st.integers(0, 9)) == 0 else document

    return made()


def read(reader, value: Any) -> Any:
    """Read a value. :returns: what it was read as; None where it was refused"""
    try:
        found = reader(value)
    except UnreadableDocument as error:
        assert error.resource, error
        assert error.why, error
        assert error.fix, error
        str(error).encode()
        event("refused")
        return None
    event("read")
    return found


@examples("stored documents")
@given(changes(NAMES))
@example(("board", {"dev": {}}))
@example(("board", True))
@example(("board", {"dev": {"holder": None, "newest": None, "waiting": {"a": 1}}}))
@example(("question", {"at": 1.0}))
@example(("answer", {**stored("answer"), "how": []}))
@example(("plan", {**stored("plan"), "stacks": {}}))
@example(("plan", {**stored("plan"), "revision": None}))
@example(("ticket", {**stored("ticket"), "entry": {**stored("ticket")["entry"], "sequence": None}}))
@example(("revision", {**stored("revision"), "last_modified": "0001-01-01T00:00:00+14:00"}))
@example(("claim", {**stored("claim"), "run_id": 1}))
@example(("trial-comparison", {**stored("trial-comparison"), "live": []}))
@example(("job-owner", {"airflow": "a"}))
def test_a_changed_document_is_read_or_refused_by_name(case):
    name, value = case
    if name in ("claim", "job-owner") and not isinstance(value, dict):
        return
    found = read(READERS[name], value)
    if found is not None and isinstance(value, dict) and name not in ("board", "ticket"):
        # A board keeps what it does not know.
        assert READERS[name]({**value, **LATER, FORMAT_VERSION: 1}) == found


@examples("stored bytes")
@given(st.sampled_from(sorted(FOLDER.glob("*.json"))), st.data())
def test_bytes_that_were_cut_or_overwritten(path, data):
    content = bytearray(path.read_bytes())
    start = data.draw(st.integers(0, len(content)))
    end = data.draw(st.integers(start, len(content)))
    content[start:end] = data.draw(st.binary(max_size=40) | st.just(b"[" * 100_000) | st.just(b"NaN"))
    value = read(lambda raw: content_of(bytes(raw), "s3://bucket/document.json"), content)
    if value is not None and path.stem in NAMES:
        read(READERS[path.stem], value)
    read(lambda raw: read_revision(bytes(raw), "s3://bucket/revision.json"), content)


@st.composite
def packages(draw) -> dict[str, Any]:
    """A model package whose metadata somebody has changed; AWS keeps texts of at most 256 characters there."""
    package = deepcopy(PACKAGE)
    entries = package["CustomerMetadataProperties"]
    texts = st.text(max_size=256) | st.sampled_from(["", "nan", "1e999", "Approved", "promote/", "/" * 9, "²", "=ZZ"])
    for _ in range(draw(st.integers(1, 4))):
        name = draw(st.sampled_from(sorted(entries)))
        if draw(st.booleans()):
            entries[name] = draw(texts)
        else:
            del entries[name]
            entries[draw(st.text(min_size=1, max_size=128))] = draw(texts)
    states = ["Approved", "Rejected", "PendingManualApproval", "Archived"]
    return {**package, "ModelApprovalStatus": draw(st.sampled_from(states))}


@examples("model packages")
@given(packages())
@example({**PACKAGE, "CustomerMetadataProperties": {"metric/validation:auc": "none"}})
@example({**PACKAGE, "CustomerMetadataProperties": {"slipway-trial-verdict": "Promote"}})
@example({**PACKAGE, "CustomerMetadataProperties": {"slipway-trial-verdict": "keep", "slipway-trial-outcome": "?"}})
@example({**PACKAGE, "ModelApprovalStatus": "Archived"})
def test_a_changed_model_package_is_read_or_refused_by_name(package):
    for reader in (decision_of, approvals_of, record_of, metrics_of):
        read(reader, package)
    with contextlib.suppress(KeyError):
        # No package of Slipway's is without a specification.
        artefact_of({**package, "InferenceSpecification": {"Containers": [{"ModelDataUrl": "s3://bucket/m.tar.gz"}]}})


@examples("boards and claims")
@given(changes(["board", "claim", "intake", "order", "answer"]))
def test_what_uses_a_changed_document_says_so_or_goes_on(case):
    name, value = case
    if name in ("board", "claim") and not isinstance(value, dict):
        # S3Documents has refused it.
        return
    read(USERS[name], value)


def _enter(value: dict[str, Any]) -> Any:
    documents = MemoryDocuments()
    documents.write("bucket", "releases/iris-model/stages.json", value, etag=None)
    return StageGate(documents, lambda dag_id, run_id: False).enter(Ticket.from_json(stored("ticket")))


def _claim(value: dict[str, Any]) -> Any:
    revision, began = Revision.from_xcom(stored("revision")), datetime.now(UTC)
    first = names.claim_key("iris-model", revision.revision_id)

    def read(bucket, key):
        return Document(value, "etag") if key == first else Document()

    documents = SimpleNamespace(read=read, write=lambda *args, **kwargs: True)
    claims = Claims(documents, "bucket", "iris-model", lambda dag_id, run_id: False)
    for new_attempt in (False, True):
        found = claims.claim(revision, "iris-model", "run9", began=began, new_attempt=new_attempt)
        assert isinstance(found, Revision | Claim)
    return found


def _intake(value: Any) -> Any:
    with contextlib.suppress(IntakeUnreadable):
        _committed(SimpleNamespace(asset_name="uploads"), {STATE_KEY: value})
    return True


def _order(value: Any) -> Any:
    with contextlib.suppress(NotApproved):
        check({"task_state_store": {ORDER: value}, "dag_run": RUN}, Act.ROLL_BACK, "previous", RULES)
    return True


def _answer(value: Any) -> Any:
    question = Question.from_json(stored("question"))
    ti = SimpleNamespace(dag_id="iris-model", run_id="run1", task_id="approve", map_index=-1)
    read_answer({"task_state_store": {question.answer_key: value}, "ti": ti}, question)
    return True


USERS = {"board": _enter, "claim": _claim, "intake": _intake, "order": _order, "answer": _answer}
