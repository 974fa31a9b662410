"""Makes custom_components importable in tests."""
