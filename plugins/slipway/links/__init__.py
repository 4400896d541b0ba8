"""Links from a task to what it works on in the AWS console."""
