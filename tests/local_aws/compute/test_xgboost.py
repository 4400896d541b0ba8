"""The XGBoost algorithm's checks and readers, without the xgboost package."""

import re

import numpy as np
import pytest

from demo.training_job import HYPERPARAMETERS
from local_aws.compute.algorithms.xgboost import data
from local_aws.compute.algorithms.xgboost.errors import UserError
from local_aws.compute.algorithms.xgboost.hyperparameters import ALIASES, OBJECTIVES, PARAMETERS, validate
from local_aws.compute.algorithms.xgboost.metrics import METRIC_DEFINITIONS, default_metric, version_number
from local_aws.compute.images import algorithm, image_tag, metric_definitions

LEAST = {"num_round": "1"}


def test_the_labs_hyperparameters_are_read():
    values = validate(HYPERPARAMETERS)
    assert values["lambda"] == 10.0
    assert values["max_depth"] == 10
    assert values["objective"] == "multi:softmax"
    assert "silent" not in values
    assert "reg_lambda" not in values


@pytest.mark.parametrize(("alias", "documented"), ALIASES.items())
def test_an_alias_stands_for_the_documented_name(alias, documented):
    assert validate(LEAST | {alias: "0.5"}) == {"num_round": 1, documented: 0.5}
    with pytest.raises(UserError, match="is given twice"):
        validate(LEAST | {alias: "0.5", documented: "0.5"})


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("alpha", "-0.1", "-0.1 is not in [0, +inf)"),
        ("booster", "forest", "forest is not in ['gbtree', 'gblinear', 'dart']"),
        ("colsample_bytree", "0", "0.0 is not in (0, 1]"),
        ("csv_weights", "2", "2 is not in [0, 1]"),
        ("early_stopping_rounds", "0", "0 is not in [1, +inf)"),
        ("eta", "1.1", "1.1 is not in [0, 1]"),
        ("eta", "nan", "nan is not in [0, 1]"),
        ("eta", "", "could not parse value"),
        ("gamma", "-1", "-1.0 is not in [0, +inf)"),
        ("lambda", "x", "could not parse value"),
        ("max_depth", "-1", "-1 is not in [0, +inf)"),
        ("max_depth", "3.5", "could not parse value"),
        ("min_child_weight", "-1", "-1.0 is not in [0, +inf)"),
        ("num_round", "0", "0 is not in [1, +inf)"),
        ("seed", "2147483647", "2147483647 is not in (-2147483648, 2147483647)"),
        ("silent", "2", "2 is not in [0, 1]"),
        ("subsample", "1.01", "1.01 is not in (0, 1]"),
        ("tree_method", "magic", "magic is not in ['auto', 'exact', 'approx', 'hist', 'gpu_hist']"),
        ("tweedie_variance_power", "2", "2.0 is not in (1, 2)"),
        ("verbosity", "4", "4 is not in [0, 3]"),
    ],
)
def test_a_wrong_value_is_told_with_its_range(name, text, expected):
    with pytest.raises(UserError, match=re.escape(f"Hyperparameter {name}: {expected}")):
        validate(LEAST | {name: text})


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, "Missing required hyperparameter: num_round"),
        (LEAST | {"num_class": "3"}, "Do not need to setup parameter 'num_class'"),
        (LEAST | {"objective": "multi:softprob"}, "Require input for parameter 'num_class'"),
        (LEAST | {"objective": "multi:guess"}, "Hyperparameter objective: multi:guess is not in"),
        (LEAST | {"eval_metric": "merror,guess"}, "Hyperparameter eval_metric: value ['merror', 'guess'] not in range"),
        (LEAST | {"eval_metric": "rmse@0.5"}, "Metric 'rmse@0.5' is not supported."),
        (LEAST | {"eval_metric": "error@half"}, "Threshold value 't' in 'error@t' expects float input."),
        (LEAST | {"monotone_constraints": "(1,0)"}, "monotone_constraints can be used only when the tree_method"),
        (LEAST | {"num_rounds": "1"}, "Extraneous hyperparameter found: num_rounds"),
        (LEAST | {"sagemaker_program": "train.py"}, "a script of your own cannot be run"),
    ],
)
def test_what_does_not_go_together_is_told(given, expected):
    with pytest.raises(UserError, match=re.escape(expected)):
        validate(given)


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_every_objective_is_accepted(objective):
    classes = {"num_class": "3"} if objective.startswith("multi:") else {}
    assert validate(LEAST | classes | {"objective": objective})["objective"] == objective


def test_every_range_prints_and_checks():
    for parameter in PARAMETERS.values():
        assert parameter.allowed is None or str(parameter.allowed)


@pytest.mark.parametrize(
    ("objective", "tag", "metric"),
    [
        ("multi:softmax", "1.0-1-cpu-py3", "merror"),
        ("binary:logistic", "1.2-2", "error"),
        ("multi:softmax", "1.7-1", None),
        ("multi:softprob", "latest", "merror"),
        ("reg:squarederror", "0.90-2", None),
    ],
)
def test_the_default_metric_depends_on_the_version(objective, tag, metric):
    assert default_metric(objective, tag) == metric


def test_metric_definitions_find_the_whole_name():
    line = "[7]#011train-merror:0.03000#011train-error:0.5#011validation-merror:6e-02#011train-ndcg@32:0.9"
    found = {name: match[1] for name, pattern in METRIC_DEFINITIONS if (match := re.search(pattern, line))}
    assert found == {
        "train:merror": "0.03000",
        "train:error": "0.5",
        "validation:merror": "6e-02",
        "train:ndcg": "0.9",
    }


@pytest.mark.parametrize(
    ("image", "tag"),
    [
        ("433757028032.dkr.ecr.us-west-2.amazonaws.com/xgboost:1", "1"),
        ("246618743249.dkr.ecr.eu-west-1.amazonaws.com/sagemaker-xgboost:1.0-1-cpu-py3", "1.0-1-cpu-py3"),
        ("1.dkr.ecr.cn-north-1.amazonaws.com.cn/sagemaker-xgboost:1.7-1", "1.7-1"),
        ("sagemaker-xgboost", "latest"),
        ("r.example:5000/sagemaker-xgboost:1.5-1@sha256:" + "0" * 64, "1.5-1"),
    ],
)
def test_the_algorithm_is_known_by_its_repository(image, tag):
    assert algorithm(image).train_module.endswith("xgboost.train")
    assert image_tag(image) == tag


@pytest.mark.parametrize("image", ["kmeans:1", "me/not-sagemaker-xgboost:1", "", "sagemaker-xgboost:", "x/y z"])
def test_another_repository_is_none_of_the_algorithms(image):
    assert algorithm(image) is None
    assert metric_definitions(image) == ()


def test_versions():
    assert version_number("1.7-1") == (1, 7)
    assert version_number("1") == version_number("latest") == (0, 72)


def test_csv_has_empty_fields_and_other_delimiters():
    rows = data.parse_csv("1,,3\r\n\n4;5;6\n".replace(";", ","))
    assert np.isnan(rows[0][1])
    assert rows[1].tolist() == [4, 5, 6]
    assert data.parse_csv("1\t2").tolist() == [[1, 2]]
    assert data.parse_csv("7").tolist() == [[7]]


@pytest.mark.parametrize("text", ["1,2\n3", "a,b", "1,2,x"])
def test_what_is_no_csv_raises(text):
    with pytest.raises(ValueError, match=r".+"):
        data.parse_csv(text)


def test_libsvm_has_labels_and_weights():
    read = data.parse_libsvm("1:0.5 0:2.5 3:1 # a remark\n0 1:4\n", labelled=True)
    features, labels, weights = read.features, read.labels, read.weights
    assert features.toarray().tolist() == [[2.5, 0, 0, 1], [0, 4, 0, 0]]
    assert labels.tolist() == [1, 0]
    assert weights.tolist() == [0.5, 1]


@pytest.mark.parametrize("text", ["x 0:1", "1 0:1 2", "1 a:1", "1 -1:1", "1 0:b"])
def test_what_is_no_libsvm_raises(text):
    with pytest.raises(ValueError, match=r".+"):
        data.parse_libsvm(text, labelled=True)


def test_a_channel_is_all_its_files(tmp_path):
    (tmp_path / "sub").mkdir()
    (tmp_path / "a.csv").write_text("1,2,3\n")
    (tmp_path / "sub" / "b.csv").write_text("0,4,5\n")
    for ignored in ("_SUCCESS", ".hidden"):
        (tmp_path / ignored).write_text("x,y,z\n")
    examples = data.read_channel(tmp_path, "text/csv; label_size=1", csv_weights=False)
    assert examples.labels.tolist() == [1, 0]
    assert examples.features.tolist() == [[2, 3], [4, 5]]
    weighted = data.read_channel(tmp_path, "csv", csv_weights=True)
    assert weighted.weights.tolist() == [2, 4]
    assert weighted.features.tolist() == [[3], [5]]


def test_the_files_of_a_channel_have_the_same_columns(tmp_path):
    (tmp_path / "a.csv").write_text("1,2,3\n")
    (tmp_path / "b.csv").write_text("1,2\n")
    with pytest.raises(UserError, match="differ in their number of columns"):
        data.read_channel(tmp_path, "text/csv", csv_weights=False)


def test_a_channel_needs_data(tmp_path):
    (tmp_path / "a.csv").write_text("\n")
    with pytest.raises(UserError, match="No data in channel"):
        data.read_channel(tmp_path, "text/csv", csv_weights=False)
