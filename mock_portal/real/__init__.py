"""Tools for a real portal: `mock-portal probe` and `mock-portal record`."""
