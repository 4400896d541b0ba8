"""What a person ordered or answered, signed by the API server."""
