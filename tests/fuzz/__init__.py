"""Random input from the portal, from users and from the disk."""
