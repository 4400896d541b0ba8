"""Each part of a model file that a page shows is valid, in the place of the iris model's own."""

import pytest
import yaml

from slipway.model.config import ModelConfig
from slipway.model.files import load_model
from tests.docs.pages import PAGES, blocks, name
from tests.unit.request_samples import iris

EXAMPLES = [
    (page, document)
    for page in PAGES
    for block in blocks(page, "yaml")
    if set(document := yaml.safe_load(block)) <= set(ModelConfig.model_fields)
]


@pytest.mark.parametrize(
    ("page", "example"), EXAMPLES, ids=[f"{name(page)}-{next(iter(part))}" for page, part in EXAMPLES]
)
def test_it_is_valid(page, example, tmp_path):
    file = tmp_path / "example.yaml"
    whole = {} if {"prefix", "test"} <= set(example) else iris()
    file.write_text(yaml.safe_dump({**whole, **example}))
    assert load_model(file).prefix


def test_there_are_some():
    assert len(EXAMPLES) > 8
