"""Skills as files: their own format, SKILL.md folders, lock files, and merging what two people changed."""
