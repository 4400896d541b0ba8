"""SageMaker's built-in algorithms, each a package with the modules that its container runs."""
