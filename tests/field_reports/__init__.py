"""The third leg: inputs that other people met, played by a portal that shares nothing with the client or the mock."""
