"""The metadata of a model package."""

from slipway.registry.metadata import metadata_value, metrics_of


def test_metadata_keeps_to_the_services_alphabet():
    assert metadata_value("O'Brien <x@y.z> ünï") == "O-Brien -x@y.z- ünï"
    assert metadata_value("") == "-"
    assert len(metadata_value("x" * 300)) == 256


def test_metrics_are_read_back():
    package = {"CustomerMetadataProperties": {"metric/validation:merror": "0.04", "slipway-run": "x"}}
    assert metrics_of(package) == {"validation:merror": 0.04}
