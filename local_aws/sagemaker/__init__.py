"""SageMaker: the API, its CloudFormation resource types and its model registry."""
