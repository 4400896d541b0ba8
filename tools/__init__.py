"""What the make targets run: set-up, the local services and what the demo and the tests share with them."""
