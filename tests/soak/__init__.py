"""A soak test: a month of an account's life within minutes, run by `scripts/soak`."""
