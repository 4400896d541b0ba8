"""CloudFormation changes an endpoint: deploy, roll back, watch."""
