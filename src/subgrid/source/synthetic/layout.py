"""Bytes of a step file: netCDF's "CDF-5" written without a library.

The layout is fixed and small, and a full disk is then an ordinary OSError (the library's own clean-up after a failed
write can take the process down). Format: CDF-5 specification of PnetCDF; ``source.cdf5`` reads it.
"""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

_DIMENSIONS, _VARIABLES, _ATTRIBUTES = 0x0A, 0x0B, 0x0C
_TEXT, _INT, _DOUBLE = 2, 4, 6


def write_step(path: Path, variables: Mapping[str, np.ndarray], attributes: Mapping[str, str | int]) -> None:
    """Write dimensions ncol and lev, then the variables in their order, big-endian.

    A variable is an integer scalar (int32), (column,) or (column, level); profiles are stored as (lev, ncol).
    Raises OSError where the disk does.
    """
    columns, levels = next(np.shape(values) for values in variables.values() if np.ndim(values) == 2)
    stored = {name: _stored(values) for name, values in variables.items()}
    start = len(_header(stored, {"ncol": columns, "lev": levels}, attributes, 0))
    with path.open("wb") as file:
        file.write(_header(stored, {"ncol": columns, "lev": levels}, attributes, start))
        for values in stored.values():
            file.write(np.ascontiguousarray(values).data)


def _stored(values: np.ndarray) -> np.ndarray:
    return np.asarray(values, dtype=">i4") if np.ndim(values) == 0 else np.asarray(values).T.astype(">f8")


def _header(
    stored: Mapping[str, np.ndarray], sizes: Mapping[str, int], attributes: Mapping[str, str | int], begin: int
) -> bytes:
    """The header, with the first variable's data at byte ``begin``."""
    parts = [b"CDF\x05", _count(0), _tag(_DIMENSIONS, len(sizes))]
    parts += [_text(name) + _count(size) for name, size in sizes.items()]
    parts.append(_tag(_ATTRIBUTES, len(attributes)))
    for name, value in attributes.items():
        body = _kind(_TEXT) + _text(value) if isinstance(value, str) else _kind(_INT) + _count(1) + _kind(value)
        parts.append(_text(name) + body)
    parts.append(_tag(_VARIABLES, len(stored)))
    dimensions = {0: b"", 1: _count(0), 2: _count(1) + _count(0)}  # ncol is dimension 0, lev is 1
    for name, values in stored.items():
        kind = _INT if values.dtype.itemsize == 4 else _DOUBLE
        rank = _count(values.ndim) + dimensions[values.ndim]
        parts.append(_text(name) + rank + _tag(0, 0) + _kind(kind) + _count(values.nbytes) + _count(begin))
        begin += values.nbytes
    return b"".join(parts)


def _kind(value: int) -> bytes:
    return value.to_bytes(4, "big")


def _count(value: int) -> bytes:
    return value.to_bytes(8, "big")


def _tag(kind: int, items: int) -> bytes:
    return _kind(kind) + _count(items)


def _text(value: str) -> bytes:
    raw = value.encode()
    return _count(len(raw)) + raw + bytes(-len(raw) % 4)
