"""Programs for developers, and the process of a real Home Assistant that tests share."""
