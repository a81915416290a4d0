"""The bytes of a table, local or at any fsspec URL: opened, read from any place on, summed up."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from typing import Any

import google_crc32c

from subgrid.errors import InputError, SubgridError
from subgrid.source.locations import Location
from subgrid.source.retries import of_client, reason, retried

_HEAD = 1 << 24


@contextmanager
def opened(location: Location) -> Iterator[Any]:
    """A table's file; raises InputError where it cannot be opened, or not be read to the end."""
    try:
        with location.open_file() as file:
            yield file
    except SubgridError:
        raise
    except FileNotFoundError as error:
        raise InputError(f"{location.shown}: no such file") from error
    except IsADirectoryError as error:
        raise InputError(f"{location.shown}: expected a table, found a folder") from error
    except Exception as error:
        if not (of_client(error) or isinstance(error, (OSError, ValueError))):  # ValueError: no ranges over HTTP
            raise
        raise InputError(
            f"{location.shown}: cannot be read ({reason(error)}); see to it that it can, and run the same command again"
        ) from error


def read_at(file: Any, start: int, count: int) -> bytes:
    """Bytes of a file from a place on, asked for again where that may help."""

    def ask() -> bytes:
        file.seek(start)
        return bytes(file.read(count))

    return retried(ask)


class Sum:
    """Of a file's bytes, which are added block by block; the first block has its first 16 MiB."""

    def __init__(self) -> None:
        self._size = self._crc = 0
        self._head = ""

    def add(self, data: bytes) -> None:
        """The next block."""
        self._head = self._head or sha256(data[:_HEAD]).hexdigest()
        self._size += len(data)
        self._crc = int(google_crc32c.extend(self._crc, data))

    @property
    def digest(self) -> str:
        """SHA-256 of size, CRC32C and first bytes, hex; see ``tables.Survey``."""
        return sha256(json.dumps([self._size, self._crc, self._head]).encode()).hexdigest()
