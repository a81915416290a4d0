"""A folder of raw files, local or at any fsspec URL (``gs://``, ``s3://``, ``hf://``, ``https://``)."""

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from subgrid.errors import InputError, MissingExtraError

_EXTRAS = {"gs": "gcs", "gcs": "gcs", "s3": "s3", "s3a": "s3", "hf": "hub"}


def is_remote(url: str) -> bool:
    """Whether a file system other than the local one is asked."""
    return "://" in url and not url.startswith("file://")


def shown(url: str) -> str:
    """A URL without what may be secret: user and password, and what follows a question mark."""
    return re.sub(r"://[^/@]*@", "://", url).partition("?")[0] if is_remote(url) else url


def file_system(url: str) -> tuple[Any, str]:
    """The fsspec file system of a URL and the path in it.

    Raises MissingExtraError for a missing library, InputError for a URL that fsspec does not know.
    """
    from fsspec.core import url_to_fs

    try:
        return url_to_fs(url)
    except ImportError as error:
        scheme = url.split("://")[0]
        extra = _EXTRAS.get(scheme)
        hint = f"pip install 'subgrid[{extra}]'" if extra else "install the file system that fsspec names"
        raise MissingExtraError(f"{shown(url)}: {scheme}:// needs an optional library; {hint}") from error
    except ValueError as error:
        raise InputError(f"{shown(url)}: not a location that fsspec knows ({error})") from error


@dataclass(frozen=True)
class Location:
    """A folder to read from. ``names`` are paths relative to it, with forward slashes."""

    url: str

    @property
    def remote(self) -> bool:
        """Whether a file system other than the local one is asked."""
        return is_remote(self.url)

    def names(self) -> list[str]:
        """All files below the folder, sorted, links to folders followed; raises InputError when it is not there."""
        system, path = file_system(self.url)
        if not system.exists(path):
            raise InputError(f"{self.url}: no such folder; expected raw steps laid out like train/0001-02/*.mli.*.nc")
        start = path.rstrip("/") + "/"
        if self.remote:
            return sorted(name.removeprefix(start) for name in system.find(path))
        return sorted(
            f"{folder}/{name}".removeprefix(start)
            for folder, _, names in os.walk(path, followlinks=True)
            for name in names
        )

    def read(self, name: str, memory: np.ndarray | None = None) -> np.ndarray:
        """The bytes of one file, uint8 (size,); raises FileNotFoundError when it is absent.

        ``memory``, uint8, is used where it is large enough: reading into the same place again costs half as much.
        """
        if not self.remote:
            with open(self.local(name), "rb") as file:  # buffered: a bare file may give less than was asked for
                size = os.fstat(file.fileno()).st_size
                if memory is None or memory.size < size:
                    memory = np.empty(size, dtype=np.uint8)
                return memory[: file.readinto(memory[:size].data)]
        system, path = file_system(self.url)
        return np.frombuffer(system.cat_file(f"{path.rstrip('/')}/{name}"), dtype=np.uint8)

    def local(self, name: str) -> Path:
        """The path of a file of a local folder."""
        return Path(self.url.removeprefix("file://")).expanduser() / name

    def label(self, name: str) -> str:
        """How a file is called in messages."""
        return f"{self.url.rstrip('/')}/{name}"
