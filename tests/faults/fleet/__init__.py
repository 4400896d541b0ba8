"""Many releases at once on Celery, with two of each scheduler and triggerer, and what they take."""
