"""Images with a docker engine: docker where it answers, else podman. It builds, keeps and runs them."""
