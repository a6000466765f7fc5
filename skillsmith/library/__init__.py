"""The skill library: extraction, proof, storage, matching, execution, exchange."""
