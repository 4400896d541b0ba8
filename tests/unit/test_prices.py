"""The table of prices, and the page that explains it."""

import re

import pytest

from slipway.prices import prices
from tests.conftest import ROOT


def test_the_page_about_costs_has_the_prices_of_the_table():
    lines = (ROOT / "docs/costs.md").read_text().splitlines()
    (row,) = (line for line in lines if line.startswith("| `AWS::SageMaker::Endpoint` |"))
    shown = {name: float(price) for name, price in re.findall(r"`(ml\.[\w.]+)` (\d+\.\d+)", row)}
    assert "ml.m4.xlarge" in shown
    assert shown == {name: prices().an_hour[name] for name in shown}


@pytest.mark.parametrize("page", ["costs.md", "board.md"])
def test_the_pages_date_the_prices_as_the_table_does(page):
    words = " ".join((ROOT / "docs" / page).read_text().split())
    assert f"public lists as known on {prices().date}" in words


@pytest.mark.parametrize(
    ("instance_type", "region", "price"),
    [
        ("ml.m4.xlarge", "us-west-2", 0.24),
        ("ml.m4.xlarge", "us-east-1", 0.24),
        ("ml.m4.xlarge", "eu-north-1", None),
        ("ml.new.large", "us-west-2", None),
    ],
)
def test_the_type_of_the_lab_has_a_price(instance_type, region, price):
    assert prices().of(instance_type, region) == price
