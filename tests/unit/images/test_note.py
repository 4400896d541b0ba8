"""The note of a build, and the stop of a build that nobody waits for."""

from dataclasses import replace

import pytest

from slipway.errors import UnreadableDocument
from slipway.images.note import BuildNote, NoteStore, home_of, mark_of, stop_and_note
from slipway.training.owner import JobOwner
from tests.unit.images.aws import CodeBuild, Documents, build_note

OWNER = JobOwner("tests", "image_build-iris-forest", "build", "manual__1")
BUILD = "mlops-buildimage-iris-forest:1"
FIRST = build_note(f"src-{'ab' * 16}", OWNER, BUILD)


@pytest.fixture
def codebuild():
    found = CodeBuild()
    found.add(BUILD, FIRST.mark)
    return found


@pytest.fixture
def notes():
    return NoteStore(Documents(), "bucket", "note")


def keep(notes: NoteStore, note: BuildNote) -> None:
    assert notes.write(note, notes.read()[1])


def test_survives_being_stored(notes):
    assert notes.read()[0] is None
    keep(notes, FIRST)
    assert notes.read()[0] == FIRST


def test_what_is_no_note_is_an_error_that_names_the_document(notes):
    notes._documents.kept["note"] = {"number": "one"}
    with pytest.raises(UnreadableDocument, match="s3://bucket/note"):
        notes.read()


def test_a_note_that_changed_meanwhile_is_not_overwritten(notes):
    _, before = notes.read()
    keep(notes, FIRST)
    assert not notes.write(replace(FIRST, number=2), before)


def test_the_mark_of_a_build_names_its_source(codebuild):
    assert mark_of(codebuild.found[BUILD]) == FIRST.mark
    assert home_of(FIRST.mark) == FIRST.tag
    assert mark_of({"environment": {}}) is None


def test_a_running_build_is_stopped_and_the_note_says_so_first(codebuild, notes):
    keep(notes, FIRST)
    assert stop_and_note(codebuild, notes, BUILD, None, OWNER)
    assert notes.read()[0].stopped
    assert codebuild.calls("StopBuild") == [BUILD]


def test_a_build_that_was_never_noted_is_stopped_by_its_mark(codebuild, notes):
    keep(notes, replace(FIRST, build_id=None))
    assert stop_and_note(codebuild, notes, BUILD, FIRST.mark, OWNER)
    note, _ = notes.read()
    assert (note.stopped, note.build_id) == (True, BUILD)


def test_a_build_that_has_ended_or_that_another_run_waits_for_goes_on(codebuild, notes):
    keep(notes, replace(FIRST, owner=replace(OWNER, run_id="manual__2")))
    assert not stop_and_note(codebuild, notes, BUILD, None, OWNER)
    codebuild.found[BUILD]["buildStatus"] = "SUCCEEDED"
    assert not stop_and_note(codebuild, notes, BUILD, None, None)
    assert codebuild.calls("StopBuild") == []


def test_a_build_before_the_noted_one_is_stopped_and_leaves_the_note(codebuild, notes):
    later = replace(FIRST, number=2, build_id="mlops-buildimage-iris-forest:2")
    keep(notes, later)
    assert stop_and_note(codebuild, notes, BUILD, FIRST.mark, OWNER)
    assert notes.read()[0] == later
