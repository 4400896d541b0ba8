"""CloudWatch's alarms at work: the host keeps them, this evaluates them."""
