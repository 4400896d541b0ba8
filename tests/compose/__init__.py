"""make compose-test: docker-compose.yaml in real containers, through a release during which parts of it die."""
