"""Keeps CloudWatch's metrics in a file of their own, and the history of its alarms."""
