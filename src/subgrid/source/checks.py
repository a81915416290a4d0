"""Raw values against their physical range: NaN, infinity and nonsense stop a build, by variable, file and count."""

import numpy as np

from subgrid.errors import InputError
from subgrid.schema.variables import FILL_LIMIT, Variable


def check_range(variable: Variable, values: np.ndarray, where: str, limits: tuple[float, float] | None = None) -> None:
    """Raise InputError unless all values are finite and within the variable's range.

    ``values`` may have any shape; ``where`` names the file; ``limits`` (low, high) are the smallest and largest value
    where they are known already (a NaN among the values makes them NaN).
    """
    low, high = limits if limits is not None else (values.min(), values.max())
    if variable.low <= low and high <= variable.high:
        return
    checked = values[values < FILL_LIMIT] if variable.fill else values
    nan = int(np.isnan(values).sum())
    infinite = int(np.isinf(values).sum())
    if nan or infinite:
        raise InputError(f"{where}: {variable.name} holds {nan} NaN and {infinite} infinite values of {values.size}")
    outside = (checked < variable.low) | (checked > variable.high)
    if outside.any():
        raise InputError(
            f"{where}: {variable.name} must lie within {variable.low:g} ... {variable.high:g} {variable.unit}, but "
            f"{int(outside.sum())} of {checked.size} values do not (smallest {checked.min():g}, largest "
            f"{checked.max():g}); the file is damaged or holds another variable"
        )
