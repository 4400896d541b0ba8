"""One entry of the state that cannot be written does not keep the others from being saved."""

import asyncio
from types import SimpleNamespace

from local_aws.front.saving import keep_saved
from tests.local_aws.gateway_script import run_with_gateway

# Runs where ministack is installed.
_SAVE = """
from ministack.services import sns

app._load_persisted_state()
saved = lambda: sorted(name[2][-1] for name, _, _ in built.persistence._rows.read("sns"))

sns._topics["bad"], sns._topics["good"] = {"subscriptions": {1}}, {"subscriptions": []}
try:
    built.persistence.save()
except TypeError:
    assert saved() == ["good"], saved()
else:
    raise AssertionError("The entry that is not saved is not told of")
sns._topics["bad"]["subscriptions"] = [1]
built.persistence.save()
assert saved() == ["bad", "good"], saved()
"""


def test_the_other_entries_are_saved(tmp_path):
    run_with_gateway(_SAVE, tmp_path)


def test_saves_go_on_after_one_that_failed():
    saves = []

    def save():
        saves.append(None)
        if len(saves) == 1:
            raise ValueError("not saved")
        raise asyncio.CancelledError

    gateway, disk = SimpleNamespace(persistence=SimpleNamespace(save=save)), SimpleNamespace(has_room=lambda: True)

    async def run():
        task = asyncio.create_task(keep_saved(gateway, disk, 0))
        await asyncio.wait([task])

    asyncio.run(run())
    assert len(saves) == 2
