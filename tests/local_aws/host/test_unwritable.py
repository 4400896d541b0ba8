"""One entry of the state that cannot be written does not keep the others from being saved."""

import asyncio
import subprocess
from pathlib import Path
from types import SimpleNamespace

from local_aws.front.saving import keep_saved

ROOT = Path(__file__).parents[3]

# Runs where ministack is installed.
_SAVE = """
import sys
from pathlib import Path
from local_aws.framework.disk import Disk
from local_aws.framework.store import Store
from local_aws.host import gateway
from local_aws.host.stack_operations import Journal
from local_aws.settings import Settings

folder = Path(sys.argv[1])
disk = Disk(folder)
built = gateway.Gateway(
    Settings(port=1, bind="127.0.0.1", state_dir=folder), Journal(Store(folder / "store", disk)), disk
)
from ministack import app
from ministack.core import responses
from ministack.services import sns

app._load_persisted_state()
responses.set_request_account_id("123456789012")
responses.set_request_region("us-west-2")
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
    command = [ROOT / ".venv-aws/bin/python", "-c", _SAVE, tmp_path]
    answer = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    assert answer.returncode == 0, answer.stderr


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
