"""Whether a change is better: tried on what was recorded, measured beside what it would replace."""
