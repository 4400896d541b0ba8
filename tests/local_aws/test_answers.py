"""What the local AWS answers is JSON, whatever the numbers are."""

import json
import math

import pytest
from botocore.session import get_session

from local_aws.framework.validation import project

SHAPE = get_session().get_service_model("sagemaker").operation_model("DescribeTrainingJob").output_shape


@pytest.mark.parametrize(
    ("value", "shown"), [(0.5, 0.5), (math.nan, "NaN"), (math.inf, "Infinity"), (-math.inf, "-Infinity")]
)
def test_a_number_that_json_has_not_is_a_text(value, shown):
    """https://smithy.io/2.0/aws/protocols/aws-json-1_1-protocol.html"""
    answer = project(SHAPE, {"FinalMetricDataList": [{"MetricName": "validation:auc", "Value": value}]})
    assert json.loads(json.dumps(answer, allow_nan=False))["FinalMetricDataList"][0]["Value"] == shown
