"""The model file, as one strict pydantic model."""
