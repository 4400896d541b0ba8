"""Model folders as the container loads them: any names, pickled boosters, several at once.

The programs run in the local AWS's environment, which has xgboost.
"""

import json
import subprocess
import sys
import textwrap

import pytest

from tests.local_aws.compute.support import PYTHON, ROOT

pytestmark = pytest.mark.local_aws

PROGRAM = """
import json, os, pickle, sys, tempfile
from pathlib import Path
import numpy as np, xgboost
from local_aws.compute.algorithms.xgboost import models

def booster(target, objective="reg:squarederror"):
    features = np.array([[0.0, 1.0], [1.0, 0.0]])
    options = {"objective": objective, "base_score": 0.5, "min_child_weight": 0}
    return xgboost.train(options, xgboost.DMatrix(features, label=np.array(target, float)), 20)

def load(**files):
    folder = Path(tempfile.mkdtemp())
    for name, content in files.items():
        (folder / name).write_bytes(content)
    try:
        model = models.load(folder)
    except ValueError as error:
        return str(error)
    rows = np.array([[0.0, 1.0], [1.0, 0.0]], np.float32)
    return [model.objective, model.classes, model.width, [round(float(one), 1) for one in model.predict(rows)]]

class Bad:
    def __reduce__(self):
        return os.system, ("touch ran",)

one, other = booster([0, 1]), booster([1, 0])
raw = bytes(one.save_raw("ubj"))
os.chdir(tempfile.mkdtemp())
answers = {
    "other name": load(my_model=raw),
    "json": load(model=bytes(one.save_raw("json"))),
    "dotfile": load(**{".hidden": b"no model", "model": raw}),
    "ensemble": load(a=raw, b=bytes(other.save_raw("ubj"))),
    "empty": load(),
    "no model": load(model=b"no model"),
    "program": load(model=pickle.dumps(Bad())),
    "pickled": {str(protocol): load(model=pickle.dumps(one, protocol)) for protocol in range(6)},
}
os.environ["SAGEMAKER_INFERENCE_ENSEMBLE"] = "false"
answers["first"] = load(a=raw, b=bytes(other.save_raw("ubj")))
answers["ran"] = Path("ran").exists()
print(json.dumps(answers))
"""
ONE = ["reg:squarederror", None, 2, [0.0, 1.0]]


@pytest.fixture(scope="module")
def loaded():
    """What the program says of each folder."""
    done = subprocess.run(
        [PYTHON, "-c", textwrap.dedent(PROGRAM)], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    sys.stdout.write(done.stderr)
    return json.loads(done.stdout)


@pytest.mark.parametrize("folder", ["other name", "json", "dotfile", "first"])
def test_a_model_is_the_file_of_the_folder(loaded, folder):
    assert loaded[folder] == ONE


def test_a_pickled_booster_is_read(loaded):
    assert loaded["pickled"] == {str(protocol): ONE for protocol in range(6)}


def test_a_pickle_cannot_run_a_program(loaded):
    assert "it holds a posix.system, and the local AWS unpickles an xgboost.Booster only" in loaded["program"]
    assert loaded["ran"] is False


def test_several_models_answer_with_their_mean(loaded):
    assert loaded["ensemble"][3] == [0.5, 0.5]


def test_what_is_no_model_says_so(loaded):
    assert "there is no file in" in loaded["empty"]
    assert "cannot be loaded:\nPickle load error=" in loaded["no model"]
    assert "XGB load model error=" in loaded["no model"]
