"""What may be told of a URL, and what may be kept: user, password and query may be secrets, and are neither.

Keys and tokens belong to fsspec's own configuration: its files, or the environment.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from subgrid.errors import SettingsError

_USER = re.compile(r"\b([A-Za-z][A-Za-z0-9+.-]*:/{1,2})[^/\s]*@")  # pathlib makes one slash of two
_QUERY = re.compile(r"((?:\b[A-Za-z][A-Za-z0-9+.-]*:/{1,2}|\burl: /)[^\s?'\"]*)\?(?=[^\s'\"]*[\w%=&])[^\s'\"]*")
"""A query; urllib3 tells it without a host: "... with url: /path?query". The mark that ends a sentence starts none."""


def is_remote(url: str) -> bool:
    """Whether a file system other than the local one is asked."""
    return "://" in url and not url.startswith("file://")


def local_path(place: str | Path) -> Path:
    """The path that a path or a ``file://`` URL means, with ``~`` for the home folder."""
    return Path(str(place).removeprefix("file://")).expanduser()


def shown(url: str) -> str:
    """A URL without what may be secret: user and password, and what follows a question mark."""
    return re.sub(r"://[^/]*@", "://", url).partition("?")[0] if is_remote(url) else url


def without_secrets(text: str) -> str:
    """A message of whatever origin; every URL in it as ``shown`` has it."""
    return _QUERY.sub(r"\1", _USER.sub(r"\1", text))


def refuse_secrets(url: str, keeper: str, where: str = "") -> None:
    """Raise SettingsError, which does not show them, where a URL that is to be kept holds a user, password or query.

    Args:
        url: or a path.
        keeper: what it would be kept in, as in ``a recipe``.
        where: what the message starts with; default the URL.
    """
    if shown(url) != url:
        raise SettingsError(
            f"{where or shown(url)}: {keeper} keeps no user, password or query of a URL, found one of them "
            f"with {shown(url)}; leave it out and give secrets to fsspec (environment, or its configuration files)"
        )


def texts(tree: Any, name: str = "") -> Iterator[tuple[str, str]]:
    """All text in plain values, with its dotted name; keys are text too."""
    if isinstance(tree, str):
        yield name, tree
    elif isinstance(tree, Mapping):
        for key, value in tree.items():
            yield name, str(key)
            yield from texts(value, f"{name}.{key}".removeprefix("."))
    elif isinstance(tree, Sequence):
        for place, value in enumerate(tree):
            yield from texts(value, f"{name}.{place}".removeprefix("."))
