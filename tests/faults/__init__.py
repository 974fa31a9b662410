"""What a user notices of each kind of failure of the portal."""
