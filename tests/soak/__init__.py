"""A month in the life of an account within minutes: `scripts/soak`."""
