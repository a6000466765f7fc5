"""Where the file is that is used when none is named; below everything that opens one."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

FILE_NAME: Final = "skillsmith.db"
PATH_VARIABLE: Final = "SKILLSMITH_DB"
DATA_FOLDER: Final = "skillsmith-cli"


def default_path() -> Path:
    """Return the file that is used when none is named.

    ``SKILLSMITH_DB``, else ``./skillsmith.db`` if it is there, else one in the platform's user data folder.
    """
    named = os.environ.get(PATH_VARIABLE)
    if named:
        return Path(named).expanduser()
    local = Path(FILE_NAME)
    if local.exists():
        return local
    from platformdirs import user_data_path  # noqa: PLC0415  (15 ms; only without a named or local file)

    return user_data_path(DATA_FOLDER, appauthor=False) / FILE_NAME
