"""Whose approvals count, and whether they are enough."""

import pytest

from slipway.model.approval_rules import ONLY_STAGE, Approval, ApprovalStage, Rules

ONE = Rules((ApprovalStage(ONLY_STAGE, ("alice", "carol")),))
TWO_OF_THREE = Rules((ApprovalStage(ONLY_STAGE, ("alice", "carol", "erin"), 2),))
STAGES = Rules(
    (ApprovalStage("science", ("alice", "carol", "erin"), 2), ApprovalStage("operations", ("olaf", "alice")))
)


def given(*names: str, stage: str = ONLY_STAGE) -> list[Approval]:
    return [Approval(by=name, at="t", how="Airflow", stage=stage) for name in names]


def test_one_approver_is_enough_by_default():
    assert ONE.refusal("alice", [], None) is None
    assert ONE.shortfall([], None) == "1 of alice, carol must approve"
    assert ONE.shortfall(given("carol"), None) is None


@pytest.mark.parametrize("names", [("mallory",), ("mallory", "bob"), ()])
def test_nobody_elses_approval_counts(names):
    assert ONE.shortfall(given(*names), None) == "1 of alice, carol must approve"
    assert "mallory is no approver" in ONE.refusal("mallory", given(*names), None)


def test_one_person_counts_once():
    twice = given("alice", "alice")
    assert TWO_OF_THREE.shortfall(twice, None) == "1 of carol, erin must approve"
    assert "alice has approved already" in TWO_OF_THREE.refusal("alice", twice, None)
    assert TWO_OF_THREE.shortfall(given("alice", "erin"), None) is None


@pytest.mark.parametrize(
    ("approvers", "quorum", "wanted"),
    [
        (("alice",), 1, "alice must approve"),
        (("alice", "carol"), 2, "alice and carol must approve"),
        (("alice", "carol"), 1, "1 of alice, carol must approve"),
    ],
)
def test_a_number_is_named_only_where_there_is_a_choice(approvers, quorum, wanted):
    assert Rules((ApprovalStage(ONLY_STAGE, approvers, quorum),)).wanted([]) == wanted


def test_stages_are_asked_in_their_order():
    science = given("alice", "erin", stage="science")
    assert "olaf is no approver of the stage science" in STAGES.refusal("olaf", [], None)
    assert STAGES.wanted(science) == "1 of olaf, alice must approve (stage operations)"
    assert STAGES.refusal("olaf", science, None) is None
    assert "carol is no approver of the stage operations" in STAGES.refusal("carol", science, None)
    assert STAGES.shortfall(science, None)
    assert STAGES.shortfall([*science, *given("olaf", stage="operations")], None) is None


def test_a_person_in_two_stages_approves_in_each():
    science = given("alice", "erin", stage="science")
    assert STAGES.refusal("alice", science, None) is None
    assert STAGES.shortfall([*science, *given("alice", stage="operations")], None) is None


def test_when_all_is_given_nothing_more_counts():
    assert "have been given" in ONE.refusal("carol", given("alice"), None)


def test_the_uploader_is_refused_where_the_rules_say_so():
    rules = Rules(ONE.stages, allow_uploader=False)
    assert "alice uploaded this model" in rules.refusal("alice", [], "alice")
    assert rules.refusal("carol", [], "alice") is None
    assert ONE.refusal("alice", [], "alice") is None
    # On record from a time when the model file allowed it.
    assert rules.shortfall(given("alice"), "alice") == "1 of alice, carol must approve"


@pytest.mark.parametrize("second", ["Alice", "\u0430lice", "alice@corp", "CORP\\alice"])
def test_a_person_on_record_under_two_names_counts_once(second):
    """Former rules, or a forged record: the model file itself refuses such approvers."""
    rules = Rules((ApprovalStage(ONLY_STAGE, ("alice", second, "carol"), 2),))
    assert rules.shortfall(given("alice", second), None) == "carol must approve"
    assert "has approved already as alice" in rules.refusal(second, given("alice"), None)
    assert rules.shortfall(given("alice", second, "carol"), None) is None


@pytest.mark.parametrize("name", ["Alice", "\u0430lice", "alice@corp", "a\u200blice", "\uff41lice"])
def test_who_is_only_like_an_approver_is_none_and_is_told_so(name):
    why = ONE.refusal(name, [], None)
    assert "is no approver of the stage approval" in why
    assert why.endswith("is not alice: names must agree letter by letter.")
    assert why.isascii()
    assert ONE.shortfall(given(name), None)


def test_rules_survive_the_serialized_dag():
    for rules in (ONE, STAGES, Rules(ONE.stages, allow_uploader=False)):
        assert Rules.from_json(rules.to_json()) == rules
