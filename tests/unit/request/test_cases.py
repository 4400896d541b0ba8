"""The zips of tests/cases, as `process_request` judges them; `make cases` releases them through a real Airflow."""

from pathlib import Path

import pytest

from slipway.errors import RequestRefused
from slipway.model.files import load_model
from slipway.request.fence import fence, parse_zip
from slipway.request.measurable import check_measurable
from tests.unit.request_samples import AWS, request_zip

CASES = sorted(case for case in (Path(__file__).parents[2] / "cases").iterdir() if case.is_dir())


def judged(case: Path) -> None:
    data = request_zip((case / "trainingjob.json").read_text(), (case / "deployment.json").read_text())
    check_measurable(fence(parse_zip(data), load_model(case / "model.yaml"), AWS))


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_only_what_could_never_be_measured_is_refused_before_it_is_trained(case):
    if case.name == "no-class":
        with pytest.raises(RequestRefused, match=r"reg:squarederror.*test\.accuracy_minimum"):
            judged(case)
    else:
        judged(case)
