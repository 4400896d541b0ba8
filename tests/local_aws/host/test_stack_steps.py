"""The names of properties that CloudFormation accepts are AWS's own."""

import json

from cfnlint.schema.manager import PROVIDER_SCHEMA_MANAGER

from tests.local_aws.server import REGION, ROOT

PROPERTIES = json.loads((ROOT / "local_aws/host/resource_properties.json").read_text())


def test_the_properties_of_each_type_are_those_of_its_schema():
    wrong = {}
    for kind, properties in PROPERTIES.items():
        schema = PROVIDER_SCHEMA_MANAGER.get_resource_schema(REGION, kind).schema
        if sorted(schema["properties"]) != properties:
            wrong[kind] = sorted(schema["properties"])
    assert wrong == {}, "copy these into local_aws/host/resource_properties.json"
