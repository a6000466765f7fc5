"""Reading code without running it: blocks, literals, names, files and effects, in Python and in shell."""
