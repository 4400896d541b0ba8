"""Every call to AWS: a client for each service, its errors translated once."""
