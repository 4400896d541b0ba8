"""Pages that show what the local AWS does. They only read."""
