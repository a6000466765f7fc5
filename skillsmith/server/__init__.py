"""HTTP and WebSocket over one skillsmith file: a thin layer that parses, asks the workspace and answers.

Nothing of the core imports this package; it needs the extra ``server``.
"""
