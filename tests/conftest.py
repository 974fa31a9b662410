"""Fixtures for all tests."""

# Home Assistant finds the integration in this checkout only when it is imported before the
# testing plug-in puts its own custom_components in place.
import custom_components.iot_portal  # noqa: F401
