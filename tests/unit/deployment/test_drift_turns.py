"""Which stacks the drift watcher compares: those whose endpoint has changed, and the others in their turn."""

import json
from datetime import UTC, datetime, timedelta

import pytest

from slipway.aws.endpoints import ListedEndpoint
from slipway.deployment.drift import Difference, Remedy
from slipway.deployment.drift_turns import DriftTurns, Turns, WatchedStack
from slipway.errors import AwsError

NOON = datetime(2026, 11, 29, 12, tzinfo=UTC)
ALARM = Difference("the alarm a was deleted", Remedy.REVERTED)
LOOK = timedelta(minutes=15)


def listed(name: str, modified: datetime = NOON - timedelta(days=1)) -> ListedEndpoint:
    return ListedEndpoint(name, f"arn:{name}", "InService", modified.isoformat(), modified.isoformat())


class Account:
    """Some models, of which the first ones have endpoints; it counts comparisons."""

    def __init__(self, models: int, live: int) -> None:
        self.stacks = [
            WatchedStack(f"m{number:03}", environment, "b", f"m{number:03}-{environment}")
            for number in range(models)
            for environment in ("development", "production")
        ]
        self.endpoints = {stack.endpoint: listed(stack.endpoint) for stack in self.stacks[: 2 * live]}
        self.differ, self.held, self.refused, self.reported = {}, set(), set(), {}
        self.compared: list[str] = []
        self.now, self.stored = NOON, None
        self.start()

    def start(self) -> None:
        """As a new process does."""
        self.turns = DriftTurns(self.stacks, self, self.compare)

    def read(self) -> list[ListedEndpoint]:
        return list(self.endpoints.values())

    def compare(self, stack: WatchedStack) -> list[Difference] | None:
        self.compared.append(stack.key)
        if stack.key in self.refused:
            raise AwsError("Cannot describe the stack", resource=stack.name)
        return None if stack.key in self.held else self.differ.get(stack.key, [])

    def look(self) -> list[str]:
        """What the next look compares; the stored document passes through JSON."""
        self.compared.clear()
        after = self.turns.look(Turns.from_json(self.stored), self.reported, self.now)
        self.stored = json.loads(json.dumps(after.to_json()))
        self.now += LOOK
        return list(self.compared)

    @property
    def found(self) -> dict[str, tuple[str, ...]]:
        return dict(Turns.from_json(self.stored).found)

    def settle(self) -> None:
        while len(self.look()) > 1:
            pass


@pytest.mark.parametrize("live", [1, 100])
def test_an_hour_without_changes_costs_two_comparisons_for_one_model_and_for_a_hundred(live):
    account = Account(live, live)
    account.settle()
    assert sum(len(account.look()) for _ in range(4)) == 2
    account.start()
    assert sum(len(account.look()) for _ in range(4)) == 2


def test_models_without_endpoints_cost_nothing():
    account = Account(100, 0)
    assert [account.look() for _ in range(8)] == [[]] * 8


def test_every_stack_gets_its_turn():
    account = Account(3, 3)
    account.settle()
    seen = [key for _ in range(12) for key in account.look()]
    assert sorted(seen) == sorted(stack.key for stack in account.stacks)


@pytest.mark.parametrize("again", [False, True])
def test_an_endpoint_that_changed_or_is_gone_is_compared_with_the_next_look(again):
    account = Account(100, 100)
    account.settle()
    if again:
        account.start()
    account.endpoints["m050-production"] = listed("m050-production", account.now)
    del account.endpoints["m060-development"]
    assert {"m050/production", "m060/development"} <= set(account.look())
    assert not {"m050/production", "m060/development"} & set(account.look())


def test_a_held_stack_is_compared_again_until_it_is_free():
    account = Account(1, 1)
    account.settle()
    account.endpoints["m000-production"] = listed("m000-production", account.now)
    account.held.add("m000/production")
    assert "m000/production" in account.look()
    assert "m000/production" in account.look()
    account.held.clear()
    account.differ["m000/production"] = [ALARM]
    account.look()
    assert account.found == {"m000/production": ("the alarm a was deleted",)}


@pytest.mark.parametrize("why", ["held", "refused"])
def test_stacks_that_cannot_be_compared_keep_no_others_from_it(why):
    account = Account(30, 30)
    account.settle()
    first = account.stacks[:25]
    getattr(account, why).update(stack.key for stack in first)
    for stack in [*first, account.stacks[-1]]:
        account.endpoints[stack.endpoint] = listed(stack.endpoint, account.now)
    account.differ[account.stacks[-1].key] = [ALARM]
    looked = [key for _ in range(3) for key in account.look()]
    assert account.found == {account.stacks[-1].key: ("the alarm a was deleted",)}
    assert {stack.key for stack in first} <= set(looked)


def test_what_was_found_is_compared_again_until_it_is_reported_or_gone():
    account = Account(100, 100)
    account.settle()
    account.differ = {"m050/production": [ALARM], "m060/production": [ALARM]}
    for name in ("m050-production", "m060-production"):
        account.endpoints[name] = listed(name, account.now)
    account.look()
    assert set(account.found) == {"m050/production", "m060/production"}
    account.reported["mlops-deploy-m050-prd"] = ["the alarm a was deleted"]
    del account.differ["m060/production"]
    assert "m060/production" in account.look()
    assert account.found == {}


def test_what_was_reported_of_a_stack_that_is_gone_is_found_to_be_over():
    account = Account(1, 0)
    account.reported["mlops-deploy-m000-prd"] = ["the endpoint does not exist"]
    assert [key for _ in range(2) for key in account.look()].count("m000/production") >= 1
    assert account.found == {"m000/production": ()}


def test_the_first_look_compares_all_that_is_live_a_few_at_a_time():
    account = Account(30, 30)
    looks = [account.look() for _ in range(4)]
    assert [len(one) for one in looks[:3]] == [20, 20, 20]
    assert {key for one in looks for key in one} == {stack.key for stack in account.stacks}


def test_what_another_version_stored_is_a_first_look():
    assert Turns.from_json("text") == Turns.from_json(None) == Turns()
