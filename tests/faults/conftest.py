"""The local AWS of the faults: its ledger is the oracle, and the tests of one file share it."""

import pytest

from slipway.host import runs
from tests.local_aws.hooks import lead_hooks_to
from tests.local_aws.release_support import fill_bucket
from tests.local_aws.server import LocalAws


@pytest.fixture(scope="module")
def aws(tmp_path_factory):
    """A local AWS to which every hook goes, with the iris data in its bucket."""
    running = LocalAws(tmp_path_factory.mktemp("faults") / "state", "--faults").start()
    with pytest.MonkeyPatch.context() as patch:
        lead_hooks_to(running.endpoint_url, patch)
        fill_bucket(running)
        # There is no Airflow to ask: of two runs that meet at a stage, the former one has ended here.
        patch.setattr(runs, "goes_on", lambda dag_id, run_id: False)
        yield running
    running.stop()
