"""The few error types a user can meet.

Every message says what was expected, what was found, where (file, variable, row), and what to do. The command line
prints it as it stands and exits with 1 (``UsageError``: 2); a traceback is always a bug of ours.
"""


class SubgridError(Exception):
    """Anything that a user can mend: the message is the whole story."""


class SettingsError(SubgridError, ValueError):
    """A recipe, an option or a combination of them that cannot be used."""


class UsageError(SettingsError):
    """Words on the command line that mean nothing, or contradict each other: it ends with 2."""


class InputError(SubgridError, ValueError):
    """Raw data that are not what they should be: a cut file, a missing variable, NaN, a value out of range."""


class DatasetError(SubgridError, ValueError):
    """A folder that subgrid wrote (data set, run, prediction) and that is damaged, unfinished or of another make."""


class MissingExtraError(SubgridError, ImportError):
    """An optional library that is not installed; the message names the extra that brings it."""


def first_fault(error: Exception) -> str:
    """The first thing that pydantic found wrong, in one line; of any other error its text."""
    faults = getattr(error, "errors", None)
    if faults is None:
        return str(error)
    first = faults()[0]
    place = ".".join(str(part) for part in first["loc"])
    return f"{place}: {first['msg']}" if place else str(first["msg"])
