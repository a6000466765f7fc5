"""Changes that the executions of a skill suggest, each with its evidence."""
