"""Evaluates CloudWatch's alarms, which the host keeps."""
