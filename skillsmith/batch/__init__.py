"""One skill over many inputs: by processes of this machine, or by the workers of a Dask cluster.

Every input is an execution like any other, with its run and its place in the ledger. What is finished is
never done again: the ledger knows it even where the results file was cut off.
"""

from __future__ import annotations

from skillsmith.batch.inputs import Item, read_items
from skillsmith.batch.items import ItemResult
from skillsmith.batch.many import Batch, Summary, run_many

__all__ = ["Batch", "Item", "ItemResult", "Summary", "read_items", "run_many"]
