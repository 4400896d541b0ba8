"""What the command line of make stress must name."""

import sys

import pytest

from tools.stress import main


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        [""],
        ["--rate", "5"],
        # Neither an option's value nor a later argument is read as the endpoint.
        ["--data", "rows.csv"],
        ["--data", "iris-model-development", "somebody-elses"],
    ],
)
def test_without_an_endpoint_in_its_place_nothing_is_tried(arguments, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["stress", *arguments])
    assert main() == 2
    assert "Name an endpoint" in capsys.readouterr().err
