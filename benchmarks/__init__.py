"""Programs that measure; `scripts/bench` runs them."""
