"""What a person ordered or answered, with the signature of the API server under it."""
