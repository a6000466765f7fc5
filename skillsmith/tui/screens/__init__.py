"""One screen a file; ``registry.py`` knows their names."""
