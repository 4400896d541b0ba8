"""What changes an endpoint: the template, its change sets and what runs them."""
