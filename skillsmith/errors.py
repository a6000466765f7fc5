"""Every error a user can meet, in one tree; each names its subject, says what to do, and has an exit code.

SkillsmithError (1)
├── UsageError (2)
│   └── MissingInputError
├── NotFoundError (3)
├── NoMatchError (4)
├── RefusedError (5)
│   ├── UntrustedError
│   ├── NearDuplicateError
│   ├── SecretFoundError
│   └── InvalidSkillFileError
├── StorageError (1)
├── FormatError (1)
├── ExtractionError (1)
├── ExecutionError (1)
└── ModelError (1)

Bugs are not in it: they pass through raw, with their traceback.
"""

from __future__ import annotations

from enum import IntEnum
from typing import ClassVar


class ExitCode(IntEnum):
    """The process exit codes that scripts may rely on."""

    OK = 0
    FAILED = 1
    USAGE = 2
    NOT_FOUND = 3
    NO_MATCH = 4
    REFUSED = 5


class SkillsmithError(Exception):
    """Say what is wrong and where, with a hint on what to do.

    Args:
        message: One sentence naming the subject.
        hint: What the user can do next; may be empty.
    """

    exit_code: ClassVar[ExitCode] = ExitCode.FAILED
    code: ClassVar[str] = "failed"

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message}; {self.hint}" if self.hint else self.message


class UsageError(SkillsmithError):
    """A command or call was given something it cannot take."""

    exit_code = ExitCode.USAGE
    code = "usage"


class MissingInputError(UsageError):
    """A required input of a skill has no value."""

    code = "missing_input"

    def __init__(self, skill: str, names: tuple[str, ...]) -> None:
        super().__init__(
            f"skill {skill!r} needs {'inputs' if len(names) > 1 else 'the input'} {', '.join(names)}",
            hint="give " + " ".join(f"--set {name}=VALUE" for name in names),
        )
        self.names = names


class NotFoundError(SkillsmithError):
    """Something was named that does not exist."""

    exit_code = ExitCode.NOT_FOUND
    code = "not_found"


class NoMatchError(SkillsmithError):
    """No skill fits the task."""

    exit_code = ExitCode.NO_MATCH
    code = "no_match"


class RefusedError(SkillsmithError):
    """The request was understood and refused for safety's sake."""

    exit_code = ExitCode.REFUSED
    code = "refused"


class UntrustedError(RefusedError):
    """A skill that came from elsewhere has not been trusted yet."""

    code = "untrusted"


class NearDuplicateError(RefusedError):
    """A new skill is nearly the same as one in the library."""

    code = "near_duplicate"


class SecretFoundError(RefusedError):
    """What is to be kept or shared holds what looks like a secret."""

    code = "secret"


class InvalidSkillFileError(RefusedError):
    """A shared skill file does not hold what its digest and schema promise."""

    code = "invalid_skill_file"


class StorageError(SkillsmithError):
    """The database file is locked, read-only, full, damaged or not ours."""

    code = "storage"


class FormatError(SkillsmithError):
    """A log file cannot be read as any known format."""

    code = "format"


class ExtractionError(SkillsmithError):
    """No skill can be made from the chosen runs."""

    code = "extraction"


class ExecutionError(SkillsmithError):
    """A skill execution cannot start or go on."""

    code = "execution"


class ModelError(SkillsmithError):
    """The embedding model is missing, damaged or cannot be fetched."""

    code = "model"
