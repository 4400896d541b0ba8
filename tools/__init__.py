"""The programs behind the make targets, and what the demo and the tests share with them."""
