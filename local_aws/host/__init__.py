"""All that touches ministack: its services, IAM, persistence, stacks and CloudWatch."""
