"""Every call to AWS: one client for each service, and the errors of AWS as our own."""
