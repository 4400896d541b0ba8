"""Which uploads need attention, and what is stored about them."""

import json

import pytest

from slipway.source.uploads import IntakeState, KeyState, is_request, keys_elsewhere
from slipway.source.versions import CurrentObject

IRIS = "training_jobs/iris-model/trainingjob.zip"
WINE = "training_jobs/wine/trainingjob.zip"
AT = "2026-05-01T12:00:00+00:00"
CURRENT = CurrentObject('"e"', AT)
DONE = KeyState(newest="v1", newest_at=AT, etag='"e"', settled=True)


def test_a_request_is_a_models_key_or_one_of_the_usual_form():
    assert is_request(WINE, [])
    assert is_request("elsewhere/my.zip", ["elsewhere/my.zip"])
    for key in ("training_jobs/readme.txt", "training_jobs/a/b/trainingjob.zip", "releases/a/trainingjob.zip"):
        assert not is_request(key, [IRIS])


def test_one_listing_serves_all_models_with_the_usual_key():
    assert keys_elsewhere([IRIS, "elsewhere/my.zip", WINE]) == ["elsewhere/my.zip"]


@pytest.mark.parametrize(
    ("state", "current", "needed"),
    [
        (DONE, CURRENT, False),
        (DONE, CurrentObject('"e"', "2026-05-01T12:00:01+00:00"), True),
        (DONE, CurrentObject('"f"', AT), True),
        (DONE, None, True),  # deleted, perhaps after a new upload
        (KeyState("v1", AT, "", True), None, False),
        (KeyState("v1", AT, '"e"', False), CURRENT, True),  # a second upload within the second looks the same
        (KeyState("v1", AT, '"e"', True, ("v1",)), CURRENT, True),
        (KeyState(done=("v1",)), CURRENT, True),  # of an earlier Slipway
        (None, CURRENT, True),
        (None, None, False),
    ],
)
def test_a_key_needs_a_look_when_it_changed_or_something_of_it_waits(state, current, needed):
    intake = IntakeState({IRIS: state} if state else {})
    assert intake.needs_look(IRIS, current, [IRIS]) is needed


def test_what_waits_for_a_model_needs_no_look_before_there_is_one():
    intake = IntakeState({WINE: KeyState("v1", AT, '"e"', True, ("v1",))})
    assert not intake.needs_look(WINE, CURRENT, [IRIS])
    assert intake.needs_look(WINE, CURRENT, [IRIS, WINE])


def test_a_key_elsewhere_is_looked_at_when_it_is_new():
    assert IntakeState().needs_look("elsewhere/my.zip", None, ["elsewhere/my.zip"])
    assert not IntakeState({"elsewhere/my.zip": KeyState()}).needs_look("elsewhere/my.zip", None, ["elsewhere/my.zip"])


def test_the_state_is_json_and_comes_back():
    intake = IntakeState(
        {IRIS: DONE, WINE: KeyState("w2", AT, "", False, ("w1", "w2")), "elsewhere/my.zip": KeyState()}
    )
    assert IntakeState.from_json(json.loads(json.dumps(intake.to_json()))) == intake
    assert IntakeState.from_json(None) is None
    assert IntakeState.from_json(IntakeState().to_json()) == IntakeState()


def test_the_state_of_an_earlier_slipway_is_read():
    earlier = {"format_version": 1, "done": {IRIS: ["v1", "v2"]}, "announced": {WINE: ["w1"]}}
    assert IntakeState.from_json(earlier) == IntakeState(
        {IRIS: KeyState(done=("v1", "v2")), WINE: KeyState(waiting=("w1",))}
    )
