"""Physical values -> stored numbers: float32(x * 2**k), with k the variable's storage exponent, computed in float64.

The relative error is at most 2**-24 for every |x| >= 2**-(126+k). Smaller values become zero and are counted; a value
that would overflow is refused. Rows stored in float64 hold x * 2**k too, which is exact.
"""

from dataclasses import dataclass

import numpy as np

from subgrid.errors import InputError
from subgrid.schema.variables import Variable

SMALLEST = 2.0**-126
"""The smallest normal float32; below it precision is lost, so smaller stored values become zero."""

LARGEST = float(np.finfo(np.float32).max)


@dataclass(frozen=True)
class Storage:
    """How the columns of one side (inputs or targets) are stored.

    Attributes:
        variables: in column order.
        slices: columns of each by name.
        exponents: k of every column, (column,).
        single: whether rows are float32.
    """

    variables: tuple[Variable, ...]
    slices: dict[str, slice]
    exponents: np.ndarray
    single: bool

    def scale(self, values: np.ndarray, limits: tuple[np.ndarray, np.ndarray], where: str) -> dict[str, int]:
        """Turn physical values, float64 (column, sample), into stored ones in place.

        ``limits`` are the smallest and largest value of each column, (column,) each. Returns how many non-zero
        values became zero, by variable. Raises InputError for a value that float32 cannot hold.
        """
        for item in self.variables:
            if item.exponent:
                values[self.slices[item.name]] *= 2.0**item.exponent
        return self._fit(values, limits, where) if self.single else {}

    def _fit(self, values: np.ndarray, limits: tuple[np.ndarray, np.ndarray], where: str) -> dict[str, int]:
        sizes = np.maximum(np.abs(limits[0]), np.abs(limits[1]))
        over = np.ldexp(np.where(np.isfinite(sizes), sizes, 0.0), self.exponents) > LARGEST
        if over.any():
            item = next(item for item in self.variables if over[self.slices[item.name]].any())
            raise InputError(
                f"{where}: {item.name} reaches {sizes[self.slices[item.name]].max():g} {item.unit}, which does not fit "
                f"float32 times 2**{item.exponent}; build with --float64"
            )
        small = np.abs(values) < SMALLEST
        if np.count_nonzero(small) == np.count_nonzero(values == 0):
            return {}
        lost = small & (values != 0)
        values[lost] = 0.0
        counts = {item.name: int(np.count_nonzero(lost[self.slices[item.name]])) for item in self.variables}
        return {name: count for name, count in counts.items() if count}
