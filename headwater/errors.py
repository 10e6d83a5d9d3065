"""What can go wrong, in the words of the person who meets it.

Every message says three things: what was found, what was expected, what to do. The exit codes are
those of sysexits.h and of the shell's signal convention.
"""

from typing import ClassVar


class HeadwaterError(Exception):
    """A problem that the user can understand and mend; the command line prints it in one line."""

    exit_code: ClassVar[int] = 1


class UsageError(HeadwaterError):
    """A command or a call that asks for something that does not exist or does not fit together."""

    exit_code = 2


class BadDataError(HeadwaterError):
    """Data that cannot be used as it is: a missing column, no usable rows, a leaking test set."""

    exit_code = 65


class MissingInputError(HeadwaterError):
    """A file, folder or run that is not there."""

    exit_code = 66


class TrainingStoppedError(HeadwaterError):
    """Training that cannot go on: non-finite steps in a row, or a hang."""

    exit_code = 70


class StorageError(HeadwaterError):
    """A disk that is full, read-only, or returned an error; what was saved before is intact."""

    exit_code = 74


class PreemptedError(HeadwaterError):
    """The run was asked to end (SIGTERM and its kin), saved its state, and wants to be started again."""

    exit_code = 75


class SettingsError(HeadwaterError):
    """A setting that is unknown, or out of its range, or an optional package that is not installed."""

    exit_code = 78


class InterruptedRunError(HeadwaterError):
    """Ctrl-C: the run saved its state and can be resumed."""

    exit_code = 130
