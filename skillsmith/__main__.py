"""Runs the command line: ``skillsmith …`` or ``python -m skillsmith …``."""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command line and leave with its exit code."""
    from skillsmith.cli.app import main as run  # noqa: PLC0415  (typer: 60 ms; `import skillsmith` stays free)

    sys.exit(run())


if __name__ == "__main__":
    main()
