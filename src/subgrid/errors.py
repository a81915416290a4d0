"""The few error types a user can meet.

Every message says what was expected, what was found, where (file, variable, row), and what to do. The command line
prints it as it stands and exits with 1; a traceback is always a bug of ours.
"""


class SubgridError(Exception):
    """Anything that a user can mend: the message is the whole story."""


class SettingsError(SubgridError, ValueError):
    """A recipe, an option or a combination of them that cannot be used."""


class InputError(SubgridError, ValueError):
    """Raw data that are not what they should be: a cut file, a missing variable, NaN, a value out of range."""


class DatasetError(SubgridError, ValueError):
    """A folder that subgrid wrote (data set, run, prediction) and that is damaged, unfinished or of another make."""


class MissingExtraError(SubgridError, ImportError):
    """An optional library that is not installed; the message names the extra that brings it."""
