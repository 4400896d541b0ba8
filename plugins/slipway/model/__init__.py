"""The model file: read strictly, as one pydantic model."""
