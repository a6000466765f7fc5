"""A team's library in PostgreSQL: what many machines push and pull, with nothing lost and nothing trusted.

A thin layer over the workspace, behind the extra ``skillsmith-cli[hub]``; the core never imports it.
"""
