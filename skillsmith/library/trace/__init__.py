"""What the record of a run tells: its calls, the literals in them, and where each came from."""
