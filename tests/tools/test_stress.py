"""What the command line of make stress has to name."""

import sys

import pytest

from tools.stress import main


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        [""],
        ["--rate", "5"],
        # Neither the value of an option nor what comes after it is taken for the endpoint that needs leave.
        ["--data", "rows.csv"],
        ["--data", "iris-model-development", "somebody-elses"],
    ],
)
def test_without_an_endpoint_in_its_place_nothing_is_tried(arguments, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["stress", *arguments])
    assert main() == 2
    assert "Name an endpoint" in capsys.readouterr().err
