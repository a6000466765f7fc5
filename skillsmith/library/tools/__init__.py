"""Tools that skills call: Python callables and the tools of MCP servers."""
