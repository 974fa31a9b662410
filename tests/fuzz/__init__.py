"""Whatever comes in, from the portal, from a person or from the disk."""
