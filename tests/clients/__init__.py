"""Programs in several languages against the mock portal."""
