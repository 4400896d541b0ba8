"""`init` makes a model file, sources and data that a release accepts, from a person's table."""

import csv
import json

import pytest
import yaml

from slipway.command.exits import Exit

WHERE = ("--account", "123456789012", "--region", "us-west-2", "--approver", "alice")
IMAGE = ("--image", "246618743249.dkr.ecr.us-west-2.amazonaws.com/sagemaker-xgboost:1.7-1")
KINDS = ("barbera", "barolo", "grignolino")


def table(folder, rows, name="wine.csv", **form):
    with (folder / name).open("w", newline="") as file:
        csv.writer(file, **form).writerows(rows)
    return name


def wine():
    return [["alcohol", "kind", "id", "hue"], *([10 + n / 10, KINDS[n % 3], f"w{n}", n % 7] for n in range(60))]


def rows_of(folder, channel):
    text = (folder / "wine" / "data" / channel / f"{channel}.csv").read_text()
    return [line.split(",") for line in text.splitlines()]


def test_a_table_becomes_a_model_that_check_accepts(slipway):
    file = table(slipway.folder, wine())
    said = slipway("init", "wine", "--csv", file, "--label", "kind", "--drop", "id", *WHERE, *IMAGE, "--json")
    assert said.code == Exit.DONE, said.out
    assert said.json["ok"]
    assert said.json["classes"] == list(KINDS)
    train, held_out = rows_of(slipway.folder, "train"), rows_of(slipway.folder, "validation")
    assert (len(train), len(held_out)) == (48, 12)
    # The label is first and a number; of each class the same share is held out.
    assert sorted(row[0] for row in held_out) == ["0"] * 4 + ["1"] * 4 + ["2"] * 4
    assert {len(row) for row in [*train, *held_out]} == {3}
    model = yaml.safe_load((slipway.folder / "include" / "models" / "wine.yaml").read_text())
    assert model["approval"]["approvers"] == ["alice"]
    assert model["test"]["accuracy_minimum"] == pytest.approx(0.333)
    job = json.loads((slipway.folder / "wine" / "trainingjob.json").read_text())
    assert job["HyperParameters"]["objective"] == "multi:softmax"
    assert job["HyperParameters"]["num_class"] == "3"
    assert "RoleArn" not in job
    columns = json.loads((slipway.folder / "wine" / "data" / "columns.json").read_text())
    assert columns == {"label": dict(zip("012", KINDS, strict=True)), "features": ["alcohol", "hue"]}
    assert slipway("check", "wine", "--offline").code == Exit.DONE


@pytest.mark.parametrize(
    ("label", "objective", "test"),
    [
        (lambda n: n % 2, "binary:logistic", "accuracy_minimum"),
        (lambda n: n * 1.5, "reg:squarederror", "rmse_maximum"),
        (lambda n: n, "reg:squarederror", "rmse_maximum"),
        (lambda n: n % 5 + 1, "multi:softmax", "accuracy_minimum"),
    ],
)
def test_the_objective_follows_from_the_labels(slipway, label, objective, test):
    file = table(slipway.folder, [["a", "b", "y"], *([n, -n, label(n)] for n in range(40))])
    assert slipway("init", "wine", "--csv", file, "--label", "y", *WHERE, *IMAGE).code == Exit.DONE
    job = json.loads((slipway.folder / "wine" / "trainingjob.json").read_text())
    assert job["HyperParameters"]["objective"] == objective
    model = yaml.safe_load((slipway.folder / "include" / "models" / "wine.yaml").read_text())
    assert test in model["test"]


def test_semicolons_no_header_and_a_byte_order_mark_are_read(slipway):
    file = table(slipway.folder, [[n, n % 2] for n in range(30)], delimiter=";")
    path = slipway.folder / file
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    said = slipway("init", "wine", "--csv", file, "--label", "2", *WHERE, *IMAGE, "--json")
    assert said.code == Exit.DONE, said.out
    assert len(rows_of(slipway.folder, "train")) + len(rows_of(slipway.folder, "validation")) == 30


@pytest.mark.parametrize(
    ("words", "rows", "why", "fix"),
    [
        (["--label", "kind"], wine(), "column id, row 1: expected a number or nothing, found 'w0'", "--drop id"),
        (
            ["--label", "sort"],
            wine(),
            "expected one of the columns alcohol, kind, id, hue, found sort",
            "name a column",
        ),
        (["--label", "b"], [["a", "b"], *([n, 7] for n in range(9))], "at least two different labels", "--label NAME"),
        (["--label", "b"], [["a", "b"], [1, 2], [3]], "row 3: expected 2 columns as in row 1, found 1", "same columns"),
        (
            ["--label", "b"],
            [["a", "b"], [1, 2], [1, ""], [2, 3]],
            "row 2: expected a label, found nothing",
            "its label",
        ),
    ],
)
def test_a_table_that_cannot_be_learnt_is_refused_with_its_place(slipway, words, rows, why, fix):
    said = slipway("init", "wine", "--csv", table(slipway.folder, rows), *words, *WHERE, *IMAGE, "--json")
    assert said.code == Exit.REFUSED
    assert why in said.json["error"]["why"]
    assert fix in said.json["error"]["fix"]
    assert not (slipway.folder / "wine").exists()


def test_nothing_is_overwritten_unless_asked(slipway):
    file = table(slipway.folder, wine())
    words = ("init", "wine", "--csv", file, "--label", "kind", "--drop", "id", *WHERE, *IMAGE)
    assert slipway(*words).code == Exit.DONE
    said = slipway(*words, "--json")
    assert said.code == Exit.REFUSED
    assert "--force" in said.json["error"]["fix"]
    assert slipway(*words, "--force").code == Exit.DONE


def test_without_data_the_sources_are_an_example(slipway):
    said = slipway("init", "wine", *WHERE, *IMAGE, "--json")
    assert said.code == Exit.DONE, said.out
    assert not (slipway.folder / "wine" / "data").exists()


def test_what_nobody_can_be_asked_must_be_given(slipway):
    said = slipway("init", "wine", "--account", "1", "--region", "us-west-2", *IMAGE, "--json")
    assert said.code == Exit.USAGE
    assert said.json["error"]["fix"] == "give --approver"
    said = slipway("init", "my_model", *WHERE, *IMAGE, "--json")
    assert said.code == Exit.USAGE
    assert "letters, digits and single hyphens" in said.json["error"]["why"]


def test_the_models_go_where_the_include_folder_is(slipway, monkeypatch):
    monkeypatch.setenv("SLIPWAY_INCLUDE_FOLDER", str(slipway.folder / "elsewhere"))
    assert slipway("init", "wine", *WHERE, *IMAGE).code == Exit.DONE
    assert (slipway.folder / "elsewhere" / "models" / "wine.yaml").exists()


def test_with_a_container_of_ones_own_the_example_is_copied_and_check_accepts_the_rest(slipway):
    file = table(slipway.folder, wine())
    words = ("init", "wine", "--csv", file, "--label", "kind", "--drop", "id", "--custom", *WHERE, "--json")
    said = slipway(*words)
    assert said.code == Exit.DONE, said.out
    container = slipway.folder / "wine" / "container"
    assert {one.name for one in container.iterdir()} == {"Dockerfile", "requirements.txt", "serve", "train"}
    assert all((container / program).stat().st_mode & 0o100 for program in ("serve", "train"))
    model = yaml.safe_load((slipway.folder / "include" / "models" / "wine.yaml").read_text())
    assert model["image"] == {}
    assert "images" not in model["policy"]
    assert model["gates"] == [{"metric": "validation:accuracy", "minimum": pytest.approx(0.333)}]
    job = json.loads((slipway.folder / "wine" / "trainingjob.json").read_text())
    image = "123456789012.dkr.ecr.us-west-2.amazonaws.com/mlops-wine:latest"
    assert job["AlgorithmSpecification"]["TrainingImage"] == image
    assert job["HyperParameters"] == {"max_depth": "11", "n_jobs": "5", "n_estimators": "120"}
    assert slipway("check", "wine", "--offline").code == Exit.DONE


def test_what_the_example_of_a_container_cannot_learn_is_refused(slipway):
    file = table(slipway.folder, [["a", "y"], *([n, n * 1.5] for n in range(40))])
    said = slipway("init", "wine", "--csv", file, "--label", "y", "--custom", *WHERE, "--json")
    assert said.code == Exit.REFUSED
    assert "--objective multi:softmax" in said.json["error"]["fix"]
    said = slipway("init", "Wine", "--custom", *WHERE, "--json")
    assert said.code == Exit.USAGE
    assert not (slipway.folder / "Wine").exists()
