"""The stress test of an endpoint: its form, the load, the report."""
