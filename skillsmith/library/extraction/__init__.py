"""From the record of one run to the draft of a skill: its nodes, its words, what it requires."""
