"""Which uploads need attention, and what is stored as done."""

import json

from slipway.source.uploads import IntakeState, is_request, list_prefixes, older_versions
from slipway.source.versions import ObjectVersion

IRIS = "training_jobs/iris-model/trainingjob.zip"
WINE = "training_jobs/wine/trainingjob.zip"


def version(version_id: str, key: str = IRIS, *, second: int = 0, rank: int = 0) -> ObjectVersion:
    return ObjectVersion(f"2026-05-01T12:00:{second:02}+00:00", rank, key, version_id)


def test_a_request_is_a_models_key_or_one_of_the_usual_form():
    assert is_request(WINE, [])
    assert is_request("elsewhere/my.zip", ["elsewhere/my.zip"])
    for key in ("training_jobs/readme.txt", "training_jobs/a/b/trainingjob.zip", "releases/a/trainingjob.zip"):
        assert not is_request(key, [IRIS])


def test_one_listing_serves_all_models_with_the_usual_key():
    assert list_prefixes([IRIS, WINE]) == ["training_jobs/"]
    assert list_prefixes([IRIS, "elsewhere/my.zip"]) == ["elsewhere/my.zip", "training_jobs/"]


def test_open_are_versions_without_a_run_and_unknown_ones_not_announced():
    listed = [version("1"), version("2"), version("3", WINE), version("4", WINE), version("5", "training_jobs/x")]
    intake = IntakeState().with_done(listed[0]).with_announced(listed[2])
    assert [each.version_id for each in intake.open(listed, [IRIS])] == ["2", "4"]
    # Its model exists now: the announced version must be released.
    assert [each.version_id for each in intake.open(listed, [IRIS, WINE])] == ["2", "3", "4"]


def test_a_released_version_is_no_longer_announced():
    intake = IntakeState().with_announced(version("1")).with_done(version("1"))
    assert intake == IntakeState(done=frozenset({(IRIS, "1")}))


def test_the_state_is_json_and_forgets_what_s3_forgot():
    intake = IntakeState().with_done(version("1")).with_done(version("2")).with_announced(version("3", WINE))
    assert IntakeState.from_json(json.loads(json.dumps(intake.to_json()))) == intake
    assert intake.kept_to([version("2")]) == IntakeState().with_done(version("2"))
    assert IntakeState.from_json(None) is None
    assert IntakeState.from_json(IntakeState().to_json()) == IntakeState()


def test_older_versions_of_one_second_are_told_apart_by_their_rank():
    listed = [version("new", rank=0), version("old", rank=-1), version("other", WINE)]
    assert [each.version_id for each in older_versions(listed)] == ["old"]
