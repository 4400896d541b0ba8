"""What answers mean, by image and objective."""

import pytest

from slipway.load.answers import Answers, answers_for, is_right, number, objective_of, predictions

XGBOOST = "246618743249.dkr.ecr.us-west-2.amazonaws.com/sagemaker-xgboost:1.7-1"


@pytest.mark.parametrize(
    "image",
    [
        XGBOOST,
        XGBOOST.partition(":")[0] + "@sha256:" + "0" * 64,
        "433757028032.dkr.ecr.us-west-2.amazonaws.com/xgboost:1",
        "451049120500.dkr.ecr.cn-north-1.amazonaws.com.cn/sagemaker-xgboost:1.5-1",
    ],
)
def test_awss_image_is_known(image):
    assert objective_of(image, {"objective": "binary:logitraw"}) == "binary:logitraw"
    assert objective_of(image, {}) == "reg:squarederror"


@pytest.mark.parametrize(
    "image",
    ["123456789012.dkr.ecr.us-west-2.amazonaws.com/team/xgboost:1", "docker.io/sagemaker-xgboost:1", "", "xgboost:1"],
)
def test_nothing_is_known_of_other_images_and_of_scripts(image):
    assert objective_of(image, {"objective": "binary:logitraw"}) is None
    assert objective_of(XGBOOST, {"objective": "binary:logitraw", "sagemaker_program": "train.py"}) is None


@pytest.mark.parametrize(
    ("objective", "answers"),
    [
        ("binary:hinge", Answers.CLASS),
        ("binary:logistic", Answers.PROBABILITY),
        ("binary:logitraw", Answers.MARGIN),
        ("count:poisson", Answers.NUMBER),
        ("multi:softmax", Answers.CLASS),
        ("multi:softprob", Answers.PROBABILITIES),
        ("rank:ndcg", Answers.SCORE),
        ("rank:pairwise", Answers.SCORE),
        ("reg:logistic", Answers.PROBABILITY),
        ("reg:gamma", Answers.NUMBER),
        ("reg:squarederror", Answers.NUMBER),
        ("survival:cox", Answers.NUMBER),
        ("something:new", Answers.UNKNOWN),
        (None, Answers.UNKNOWN),
    ],
)
def test_an_objective_says_what_is_answered(objective, answers):
    assert answers_for(objective) is answers


@pytest.mark.parametrize(
    ("answers", "label", "prediction", "right"),
    [
        (Answers.MARGIN, "1", "0.31", True),
        (Answers.MARGIN, "1", "2.7", True),
        (Answers.MARGIN, "0", "0.31", False),
        (Answers.MARGIN, "0", "-3.4\n", True),
        (Answers.MARGIN, "1", "-0.2", False),
        (Answers.PROBABILITY, "1", "0.93", True),
        (Answers.PROBABILITY, "0", "0.5", True),
        (Answers.PROBABILITY, "1.0", "0.5000001", True),
        (Answers.CLASS, "2", "2.0", True),
        (Answers.CLASS, "1", "0.93", False),
        (Answers.PROBABILITIES, "1", "[0.1, 0.8, 0.1]", True),
        (Answers.PROBABILITIES, "0", "0.1,0.8,0.1", False),
        (Answers.PROBABILITIES, "0", "[1.0]", True),
        (Answers.MARGIN, "0", "nan", False),
        (Answers.PROBABILITY, "0", "nan", False),
        (Answers.PROBABILITIES, "0", "nan,0.1", False),
        (Answers.CLASS, "nan", "nan", False),
        (Answers.MARGIN, "yes", "yes", False),
        (Answers.CLASS, "1", "1.0,2.0", False),
        (Answers.NUMBER, "1", "1.0", False),
        (Answers.SCORE, "1", "1.0", False),
        (Answers.UNKNOWN, "2", "2.0", True),
        (Answers.UNKNOWN, "2", "1.0\n", False),
        (Answers.UNKNOWN, "1", "0.93", True),
        (Answers.UNKNOWN, "0", "0.93", False),
        (Answers.UNKNOWN, "1", "[0.1,0.8,0.1]", True),
        (Answers.UNKNOWN, "0", "0.1,0.8,0.1", False),
        (Answers.UNKNOWN, "setosa", "setosa\n", True),
        (Answers.UNKNOWN, "setosa", "virginica", False),
        (Answers.UNKNOWN, "1", "nan", False),
    ],
)
def test_a_prediction_names_a_class(answers, label, prediction, right):
    assert is_right(label, prediction, answers) is right


def test_numbers_and_lists_are_told_apart():
    assert number("[2.5]\n") == 2.5
    for wrong in ("0.1,0.9", "many"):
        with pytest.raises(ValueError, match=r"."):
            number(wrong)
    assert not Answers.PROBABILITIES.are_numbers and Answers.NUMBER.are_numbers
    assert not Answers.SCORE.name_a_class and Answers.UNKNOWN.name_a_class


@pytest.mark.parametrize(
    ("answers", "content_type", "body", "rows"),
    [
        # XGBoost from version 1.5 on, and before.
        (Answers.CLASS, "text/csv; charset=utf-8", "1.0\n2.0\n", ["1.0", "2.0"]),
        (Answers.CLASS, "text/csv", "1.0,2.0", ["1.0", "2.0"]),
        (Answers.PROBABILITIES, "text/csv", "[0.1, 0.9]\n[0.7, 0.3]\n", ["[0.1, 0.9]", "[0.7, 0.3]"]),
        (Answers.PROBABILITIES, "text/csv", "[0.1, 0.9],[0.7, 0.3]", ["[0.1, 0.9]", "[0.7, 0.3]"]),
        (Answers.PROBABILITIES, "text/csv", "0.1,0.9\n0.7,0.3\n", ["0.1,0.9", "0.7,0.3"]),
        (Answers.MARGIN, "application/json", "[-1.5, 2.0]", ["-1.5", "2.0"]),
        (Answers.MARGIN, "application/json", '{"predictions": [{"score": -1.5}, {"score": 2.0}]}', ["-1.5", "2.0"]),
        (Answers.PROBABILITIES, "application/json", "[[0.1, 0.9]]", ["0.1,0.9"]),
        (Answers.PROBABILITIES, "application/json", '{"predictions": [{"score": [0.1, 0.9]}]}', ["0.1,0.9"]),
        (Answers.UNKNOWN, "application/json", '{"label": "a"}', ['{"label": "a"}']),
        (Answers.PROBABILITY, "application/jsonlines", '{"score": 0.9}\n{"score": 0.2}\n', ["0.9", "0.2"]),
        (Answers.PROBABILITY, "application/jsonlines", '{"score": 0.9}\n', ["0.9"]),
        (Answers.PROBABILITIES, "application/jsonlines", "[0.1, 0.9]\r\n[0.7, 0.3]", ["0.1,0.9", "0.7,0.3"]),
        (Answers.UNKNOWN, "application/json", "[" * 100_000, ["[" * 100_000]),
        (Answers.UNKNOWN, "text/csv", "a\nb\n", ["a", "b"]),
    ],
)
def test_an_answer_is_split_into_rows_by_its_content_type(answers, content_type, body, rows):
    assert predictions(body, content_type, answers) == rows


@pytest.mark.parametrize("body", ['{"predictions": [{"score": 0.9}]}', '{"predictions": [1]}', '{"score": 1}', '"1"'])
def test_a_container_may_answer_json_to_a_question_for_csv(body):
    assert is_right("1", body) and not is_right("0", body)
    assert is_right("setosa", '["setosa"]') and is_right("setosa", '{"predictions": ["setosa"]}')
    assert number('{"predictions": [{"score": 2.5}]}') == 2.5
    assert not is_right("1", "{" * 100_000) and not is_right("1", '{"predictions": [1, 1]}')
