"""The guard's signatures: made with a private key, checked with its public half."""

import re

import pytest

from slipway.errors import UnsafeConfiguration
from slipway.signed import proofs
from slipway.signed.proofs import TaskPlace, new_keys, signer, verifier

STATEMENT = ("answer", "arn:p/1", "Approve", "alice")
# https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_CreateModelPackage.html
METADATA = re.compile(r"[\w .:/=+\-@]*")


@pytest.fixture
def keys(monkeypatch):
    """Set this installation's keys."""

    def set_keys(signing: str | None, *public: str) -> None:
        monkeypatch.setenv("AIRFLOW__SLIPWAY__APPROVAL_SIGNING_KEY", signing or "")
        monkeypatch.setenv("AIRFLOW__SLIPWAY__APPROVAL_PUBLIC_KEYS", ",".join(public))
        for read in (signer, verifier):
            read.cache_clear()

    yield set_keys
    monkeypatch.undo()
    for read in (signer, verifier):
        read.cache_clear()


def test_what_was_signed_holds_and_nothing_else_does():
    signature = signer().sign(*STATEMENT)
    assert METADATA.fullmatch(signature)
    assert verifier().holds(signature, *STATEMENT)
    for other in (
        (*STATEMENT[:-1], "carol"),
        STATEMENT[:-1],
        (*STATEMENT, ""),
        # The same letters, divided in another way.
        ("answer", "arn:p/1", "Approvealice"),
        ("answer", "arn:p/1Approve", "alice"),
        (),
    ):
        assert not verifier().holds(signature, *other)


@pytest.mark.parametrize("signature", ["", "A", "A" * 86, "ü" * 86, "A" * 85 + "!", "A" * 400, "\0", "alice"])
def test_what_is_no_signature_holds_nothing(signature):
    assert not verifier().holds(signature, *STATEMENT)
    assert not verifier().proves(signature, *STATEMENT)


def test_a_proof_is_of_one_question():
    place = TaskPlace("iris-model", "s3__1", "approve")
    asked = place.asked(0)
    proof = signer().prove(asked, *STATEMENT)
    assert verifier().proves(proof, *STATEMENT)
    assert verifier().answers(proof, asked, *STATEMENT)
    for other in (
        place.asked(1),
        TaskPlace("iris-model", "s3__2", "approve").asked(0),
        TaskPlace("iris-model", "s3__1", "decide_trial").asked(0),
        TaskPlace("iris-model", "s3__1", "approve", 1).asked(0),
        # No letter may pass from one name to the next.
        TaskPlace("iris-models3", "__1", "approve").asked(0),
    ):
        assert not verifier().answers(proof, other, *STATEMENT)
        assert not verifier().proves(other + proof[len(other) :], *STATEMENT)


def test_after_a_rotation_former_signatures_hold_until_their_key_is_taken_away(keys):
    (old, old_public), (new, new_public) = new_keys(), new_keys()
    keys(old, old_public)
    former = signer().sign(*STATEMENT)
    # First all get the new public key, then the API server signs with the new key.
    keys(old, new_public, old_public)
    assert verifier().holds(former, *STATEMENT)
    keys(new, new_public, old_public)
    assert verifier().holds(former, *STATEMENT)
    assert verifier().holds(signer().sign(*STATEMENT), *STATEMENT)
    keys(new, new_public)
    assert not verifier().holds(former, *STATEMENT)


@pytest.mark.parametrize("text", ["", "alice", "AAAA", "A" * 43 + "!", "A" * 86])
def test_keys_that_are_none_are_refused_with_how_to_make_one(keys, text):
    signing, public = new_keys()
    keys(text, public)
    with pytest.raises(UnsafeConfiguration, match=r"approval_signing_key.*python -m slipway\.signed\.proofs"):
        signer()
    keys(signing, text)
    with pytest.raises(UnsafeConfiguration, match=r"approval_public_keys.*python -m slipway\.signed\.proofs"):
        verifier()


def test_a_signing_key_that_no_task_would_believe_is_refused(keys):
    (signing, public), (_, others) = new_keys(), new_keys()
    keys(signing, others)
    with pytest.raises(UnsafeConfiguration, match=rf"approval_public_keys.*put {public} there"):
        signer()


def test_the_place_of_airflows_own_task_instance_is_the_tasks_own():
    class Model:
        dag_id, run_id, task_id, map_index = "d", "r", "t", -1

    class Task:
        dag_id, run_id, task_id, map_index = "d", "r", "t", None

    assert TaskPlace.of(Model()) == TaskPlace.of(Task()) == proofs.TaskPlace("d", "r", "t", -1)
