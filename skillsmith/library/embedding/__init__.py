"""Models that turn texts into vectors: where they come from, how they are kept, how they are opened."""
