"""Figures and summaries over many runs and executions."""
