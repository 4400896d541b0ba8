"""Images without a docker engine: the programs `docker` and `aws` of a build's shell, pulling, and running."""
