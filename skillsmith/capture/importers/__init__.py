"""Readers of agent logs: pure functions from a file to runs, one format a module.

``read_paths`` is the way in; ``Importer`` is what another package registers under the entry-point group
``skillsmith.importers`` to add a format.
"""

from __future__ import annotations

from skillsmith.capture.importers.reading import NOT_A_LOG, Item, read_path, read_paths
from skillsmith.capture.importers.registry import (
    Bundle,
    Importer,
    broken_importers,
    importer_named,
    importers,
)
from skillsmith.capture.importers.source import Head, Limits, LogSource, Record

__all__ = [
    "NOT_A_LOG",
    "Bundle",
    "Head",
    "Importer",
    "Item",
    "Limits",
    "LogSource",
    "Record",
    "broken_importers",
    "importer_named",
    "importers",
    "read_path",
    "read_paths",
]
