"""Writers of runs in other programs' formats, one format a module: pure functions from a run to JSON."""
