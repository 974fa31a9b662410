"""Programs for developers; the tests share their way to start a real Home Assistant."""
