"""Compare an AWS account with what Slipway relies on, and print what differs.

`python -m tools.verify_aws` asks the AWS that the environment's AWS_* variables name. docs/what-aws-alone-knows.md has
every assumption, and which check looks at it. Without a flag that says so, nothing is written.
"""
