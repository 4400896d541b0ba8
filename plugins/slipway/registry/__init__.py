"""The Model Registry: model packages, their artefacts, and the decisions on record."""
