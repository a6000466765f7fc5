"""Agents that do the nodes which need one: what they are told, may spend, and what their reply means."""
