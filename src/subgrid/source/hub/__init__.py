"""The public data on the Hugging Face hub: what a repository holds, which of it is wanted, and fetching it.

``repository`` asks the hub, ``plan`` compares its listing with the calendar, ``transfer`` fetches one file,
``download`` many of them; ``pace`` is how long to wait when the hub says no.
"""

import re

_COMMIT = re.compile(r"[0-9a-f]{40}")


def is_commit(text: object) -> bool:
    """Whether a text is the hash of a commit, which never moves, as a branch does."""
    return isinstance(text, str) and bool(_COMMIT.fullmatch(text))
