"""What executions say of a version: rates and their intervals, baselines, trust and rollback."""
