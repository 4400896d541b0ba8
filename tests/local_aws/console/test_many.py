"""The first page of ten thousand jobs is there at once, and the others follow."""

import re
import time

import pytest

from local_aws.framework.store import Scope, Store
from tests.local_aws.console.support import look
from tests.local_aws.framework.test_store import Writes
from tests.local_aws.sagemaker_cases import training_request

pytestmark = pytest.mark.local_aws
JOBS = 10_000


def test_ten_thousand_jobs(new_local_aws):
    aws = new_local_aws()
    aws.state_dir.mkdir()
    store = Store(aws.state_dir / "local_aws.sqlite", Writes())
    jobs = store.collection("training_jobs")
    for number in range(JOBS):
        name = f"many-{number:05}"
        document = training_request(name, "many") | {
            "TrainingJobStatus": "Completed",
            "SecondaryStatus": "Completed",
            "CreationTime": 1_790_000_000.0 + number // 2,
        }
        jobs.put(Scope("123456789012", "us-west-2"), name, document)
    store.close()
    aws.start()
    began = time.perf_counter()
    page = look(aws, "jobs")
    taken = time.perf_counter() - began
    names = re.findall(r">(many-\d+)</a>", page)
    assert names == [f"many-{number:05}" for number in range(JOBS - 1, JOBS - 51, -1)]
    # It takes hundredths of a second; reading all of them would take several.
    assert taken < 1
    older = re.search(r'href="/_local_aws/([^"]*)">Older jobs', page)[1]
    following = re.findall(r">(many-\d+)</a>", look(aws, older.replace("&amp;", "&")))
    assert following[0] == f"many-{JOBS - 51:05}"
    assert len(look(aws, "jobs", containing="MANY-00007").split("many-00007</a>")) == 2
