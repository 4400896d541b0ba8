"""News of alarms: what a message says, and who is told when."""

import json

from slipway.aws.endpoint_metrics import AlarmState
from slipway.live.alarms import TOLD, UNTOLD, Firing, firing, tell, untold, untold_json
from slipway.live.snapshot import Snapshot
from slipway.notices.send import Notice
from tests.unit.board.test_live import endpoint, variant
from tests.unit.board.world import arn
from tests.unit.scripted_aws import MemoryStore

SINCE = "2026-11-29T11:59:00+00:00"
DESCRIPTION = "model-a of m-production: answers with a 5xx status above 0.1. Fix: read the endpoint's log"
REASON = "Threshold Crossed: 1 datapoint [0.5] was greater than the threshold (0.1)."


def alarm(name: str = "model-a-5xx", since: str = SINCE) -> AlarmState:
    full_name = f"slipway-m-production-c-{name}"
    return AlarmState("m-production", name, "ALARM", "model-a", full_name, since, REASON, DESCRIPTION)


def fires(*alarms: AlarmState) -> list[Firing]:
    served = endpoint("m", variants=(variant("model-a", package_arn=arn("m", 12)),))
    return firing(alarms, Snapshot.of([served]))


class Sent:
    """Takes messages, unless its receiver is broken."""

    def __init__(self) -> None:
        self.messages, self.broken = [], False

    def __call__(self, message) -> bool:
        if not self.broken:
            self.messages.append(message)
        return not self.broken


def test_the_message_has_every_part():
    (one,) = fires(alarm())
    message = one.message()
    assert (message.notice, message.model, message.stage) == (Notice.ALARM, "m", "production")
    assert message.version == "v12, model-a"
    assert message.reason == f"model-a of m-production: answers with a 5xx status above 0.1: {REASON}"
    assert message.fix == "read the endpoint's log"
    assert message.link.endswith("/plugin/slipway?model=m")
    assert message.text == f"The alarm model-a-5xx of m-production has fired since {SINCE}"


def test_each_alarm_is_told_once():
    store, sent = MemoryStore(**{UNTOLD: untold_json(fires(alarm(), alarm("model-a-4xx")))}), Sent()
    assert tell(store, sent, last_try=False) == []
    assert tell(store, sent, last_try=False) == []
    assert len(sent.messages) == 2
    assert untold(store.get(UNTOLD), store.get(TOLD), fires(alarm())) == []


def test_what_was_not_sent_is_tried_again_until_the_last_try():
    store, sent = MemoryStore(**{UNTOLD: untold_json(fires(alarm()))}), Sent()
    sent.broken = True
    assert tell(store, sent, last_try=False) == ["slipway-m-production-c-model-a-5xx"]
    assert store.get(TOLD) is None
    assert tell(store, sent, last_try=True) == ["slipway-m-production-c-model-a-5xx"]
    sent.broken = False
    assert tell(store, sent, last_try=False) == []
    assert sent.messages == []


def test_many_alarms_at_once_are_told_in_turns():
    every = fires(*(alarm(f"{number:03}") for number in range(100)))
    store, sent = MemoryStore(), Sent()
    while waiting := untold(store.get(UNTOLD), store.get(TOLD), every):
        assert len(waiting) <= 40
        store.set(UNTOLD, untold_json(waiting))
        tell(store, sent, last_try=False)
    assert len({one.key for one in sent.messages}) == len(sent.messages) == 100


def test_an_alarm_costs_the_same_however_many_were_told_and_the_store_does_not_grow_for_ever():
    spent = {}
    for told in (2, 5000):
        keys = [f"{number:016}" for number in range(told)]
        store = MemoryStore(**{UNTOLD: untold_json(fires(alarm())), TOLD: {"keys": keys}})
        tell(store, Sent(), last_try=False)
        spent[told] = store.writes
        assert untold(store.get(UNTOLD), store.get(TOLD), fires(alarm())) == []
    assert spent == {2: 1, 5000: 1}
    assert len(json.dumps(store.get(TOLD))) < 2**16


def test_what_cannot_be_read_is_replaced():
    store, sent = MemoryStore(**{UNTOLD: [], TOLD: {"keys": 3}}), Sent()
    assert tell(store, sent, last_try=False) == []
    assert len(untold(store.get(UNTOLD), store.get(TOLD), fires(alarm()))) == 1
