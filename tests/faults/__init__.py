"""What a user notices when the portal fails, in every way and everywhere it can."""
