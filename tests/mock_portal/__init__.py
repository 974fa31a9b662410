"""Tests of the mock portal."""
