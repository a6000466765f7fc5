"""The full-screen browser; the only package that imports Textual, and nothing imports it but ``cli/tui.py``.

Widgets never touch the database and workers never touch widgets: a question runs on a worker thread with a
workspace of its own, and its answer comes back as a message (``data.py``).
"""
