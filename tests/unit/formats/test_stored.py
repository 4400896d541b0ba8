"""Documents of earlier versions can be read, and so can those of later ones, with members that are not known here."""

import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from slipway.approval.answers import Answer, Question
from slipway.aws.documents import Document
from slipway.errors import PermanentError
from slipway.formats.stored import FORMAT_VERSION
from slipway.plan import ReleasePlan, Revision
from slipway.registry.record import approvals_of, decision_of
from slipway.signed.orders import Order
from slipway.signed.proofs import TaskPlace, verifier
from slipway.source.claims import Claim
from slipway.source.uploads import IntakeState
from slipway.stages.board import Board
from slipway.stages.gate import StageGate, Ticket
from slipway.states import BoardStage, TrialOutcome
from slipway.training.wait import TrainingJobTrigger
from slipway.trial.figures import TrialComparison
from slipway.trial.record import record_of
from tests.unit.stage_runs import MemoryDocuments

FOLDER = Path(__file__).parents[1] / "fixtures" / "documents"
LATER = {"written_by_a_later_version": {"with": ["members"]}}
# Objects whose members are data: their names are keys of uploads, stages' environments, metadata entries.
DATA = {"keys", "done", "announced", "stacks", "endpoints", "CustomerMetadataProperties"}


def stored(name: str) -> dict[str, Any]:
    return json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))


def widened(value: Any, name: str = "") -> Any:
    """:returns: the document with unknown members in each of its objects"""
    if isinstance(value, list):
        return [widened(item) for item in value]
    if not isinstance(value, dict) or name in DATA:
        return value
    return {**{key: widened(item, key) for key, item in value.items()}, **LATER, FORMAT_VERSION: 1}


def _job_owner(value: dict[str, Any]) -> Any:
    return TrainingJobTrigger(job_name="job", deadline=0.0, poll_seconds=1.0, owner=value).owner


READERS: dict[str, Callable[[Any], Any]] = {
    "answer": Answer.from_json,
    "board": Board.from_json,
    "claim": lambda value: Claim.of(Document(value, "etag"), "s3://bucket/claim.json"),
    "intake": IntakeState.from_json,
    "intake-before-keys": IntakeState.from_json,
    "job-owner": _job_owner,
    "model-package": lambda value: (decision_of(value), approvals_of(value), record_of(value)),
    "order": Order.from_json,
    "order-teardown": Order.from_json,
    "plan": ReleasePlan.from_xcom,
    "question": Question.from_json,
    "revision": Revision.from_xcom,
    "ticket": Ticket.from_json,
    "trial-comparison": TrialComparison.from_json,
}


# The intake has another form now; what else is written elsewhere, or with more members.
WRITTEN_OTHERWISE = {"intake-before-keys", "ticket", "job-owner", "model-package", "revision", "plan", "claim"}
# What a release has since it may begin with new training data.
NO_DATA = {"data": None}


def test_each_document_on_file_has_a_reader():
    assert {path.stem for path in FOLDER.glob("*.json")} == set(READERS)


@pytest.mark.parametrize("name", sorted(READERS))
def test_the_documents_of_earlier_and_later_versions_are_read_alike(name):
    read = READERS[name](stored(name))
    assert read is not None
    assert READERS[name](widened(stored(name))) == read


@pytest.mark.parametrize("name", sorted(set(READERS) - WRITTEN_OTHERWISE))
def test_what_is_written_now_is_what_was_written_and_the_format_version(name):
    # A revision has more members in S3; a ticket and an owner are arguments of triggers.
    found = READERS[name](stored(name)).to_json()
    assert found == {FORMAT_VERSION: 1, **stored(name)}


def test_the_plan_is_written_with_its_format_version():
    later = {"trial_share": None, "model_package_arn": None, "image": None}
    wanted = {**stored("plan"), "revision": {**stored("plan")["revision"], **NO_DATA}}
    assert ReleasePlan.from_xcom(stored("plan")).to_xcom() == {FORMAT_VERSION: 1, **later, **wanted}
    revision = Revision.from_xcom(stored("revision")).to_xcom()
    assert stored("revision") | revision == {FORMAT_VERSION: 1, **NO_DATA, **stored("revision")}


def test_a_claim_is_written_with_its_format_version():
    assert READERS["claim"](stored("claim")).to_json() == {FORMAT_VERSION: 1, **NO_DATA, **stored("claim")}


def test_the_signatures_of_earlier_answers_and_orders_hold():
    for change in (dict, widened):
        question, answer = (Question.from_json(change(stored("question"))), Answer.from_json(change(stored("answer"))))
        assert answer.is_proven(verifier(), question, TaskPlace("iris-model", "run1", "approve"))
        assert Order.from_json(change(stored("order"))).is_proven(verifier(), "iris-model", "manual__1")
        assert Order.from_json(change(stored("order-teardown"))).is_proven(verifier(), "teardown", "manual__1")


def test_the_metadata_of_an_earlier_model_package_is_read():
    package = stored("model-package")
    package["CustomerMetadataProperties"] |= {"slipway-format": "2", "slipway-later": "x"}
    decision, approvals, trial = READERS["model-package"](package)
    assert (decision.approved, decision.decided_by) == (True, "carol")
    assert [one.by for one in approvals] == ["alice", "carol"]
    assert (trial.decided_by, trial.outcome) == ("alice", TrialOutcome.PROMOTED)


def test_a_board_is_written_again_with_what_a_later_version_wrote():
    documents = MemoryDocuments()
    content = widened(stored("board")) | {"canary": {"holder": stored("board")["dev"]["holder"]}}
    documents.write("bucket", "releases/iris-model/stages.json", content, etag=None)
    run = {**stored("ticket"), "stage": BoardStage.PRD.value}
    ticket = Ticket.from_json(run)
    StageGate(documents, lambda dag_id, run_id: True).enter(ticket)
    written = documents.read("bucket", "releases/iris-model/stages.json").content
    assert written["prd"]["holder"]["run_id"] == "run1"
    assert written["canary"] == content["canary"]
    assert written | LATER == written
    assert written["dev"] | LATER == written["dev"]
    assert [one["run_id"] for one in written["dev"]["waiting"] if one | LATER == one] == ["run2", "run3"]


@pytest.mark.parametrize("content", [{"dev": {}}, {"dev": "free"}, {"dev": {"holder": {}, "newest": 1, "waiting": []}}])
def test_nobody_is_told_to_delete_what_cannot_be_read(content):
    documents = SimpleNamespace(read=lambda bucket, key: Document(content, "etag"))
    with pytest.raises(PermanentError, match=r"stages\.json") as refused:
        StageGate(documents, lambda dag_id, run_id: True).overtaken(Ticket.from_json(stored("ticket")))
    with pytest.raises(PermanentError, match=r"claim\.json") as unclaimed:
        Claim.of(Document(content, "etag"), "s3://bucket/claim.json")
    assert "delete" not in f"{refused.value} {unclaimed.value}"
    assert "restore an earlier version" in str(unclaimed.value)
