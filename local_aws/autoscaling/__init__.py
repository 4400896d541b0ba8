"""Application Auto Scaling: the API and its CloudFormation resource types."""
