"""The rows of the library: how skills are written, read, listed and searched."""
