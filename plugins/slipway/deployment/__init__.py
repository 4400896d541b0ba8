"""Deploy an endpoint through CloudFormation, and roll production back."""
