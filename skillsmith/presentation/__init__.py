"""How things are shown, whichever face asks: as JSON documents and as lines for people."""
