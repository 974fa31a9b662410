"""The client and the integration under every assumption in docs/api.md."""
