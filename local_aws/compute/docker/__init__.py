"""Images without a docker engine: the programs `docker` and `aws` of a build's shell, and what pulls and runs images."""
