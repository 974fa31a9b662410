"""The client and the integration against every assumption that docs/api.md names."""
