"""One use of a skill: prepared, walked node by node, mended where it may be, and recorded."""
