"""The schemas by which the local AWS checks properties are AWS's own."""

import json

from tests.local_aws.server import REGION, ROOT

# Longer enumerations, such as those of instance types, grow between two versions of cfn-lint.
_LONGEST_ENUMERATION = 50


def reduced(schema):
    """Reduce a schema to what the local AWS checks."""
    kept = {name: schema[name] for name in ("$ref", "type", "required") if name in schema}
    for name in ("properties", "definitions"):
        if name in schema:
            kept[name] = {key: reduced(value) for key, value in schema[name].items() if isinstance(value, dict)}
    if isinstance(schema.get("items"), dict):
        kept["items"] = reduced(schema["items"])
    if len(schema.get("enum", [])) in range(1, _LONGEST_ENUMERATION):
        kept["enum"] = schema["enum"]
    if schema.get("additionalProperties") is False and "patternProperties" not in schema:
        kept["additionalProperties"] = False
    return kept


def test_the_properties_of_each_type_are_those_of_its_schema():
    # Imported here: each process of the tests collects this file.
    from cfnlint.schema.manager import PROVIDER_SCHEMA_MANAGER

    schemas = json.loads((ROOT / "local_aws/host/resource_schemas.json").read_text())
    wrong = {}
    for kind, schema in schemas.items():
        current = reduced(PROVIDER_SCHEMA_MANAGER.get_resource_schema(REGION, kind).schema)
        if json.loads(json.dumps(current)) != schema:
            wrong[kind] = current
    assert wrong == {}, "copy these into local_aws/host/resource_schemas.json"
