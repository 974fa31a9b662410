"""Problems that other people reported, played by a portal that is independent of the client and the mock."""
