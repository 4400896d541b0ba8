"""The stress test of an endpoint: ordered, sent, reported."""
