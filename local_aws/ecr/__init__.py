"""Amazon ECR: repositories of container images, with their layers on disk."""
