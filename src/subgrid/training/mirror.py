"""Mirror images of columns as further rows to learn from: two mirrors make four equally true rows of one.

What knows the place, latitude and longitude, is an output here, never an input. Each row of a step is mirrored or not
by two bits of a word that follows from the run's seed, the step and the row's number: the same however many processes
share the batch, and after a resume.
"""

import numpy as np

from subgrid.records.order import hash_of, scattered
from subgrid.records.stream import Batch
from subgrid.representation.symmetry import four_images
from subgrid.schema.variable_sets import VariableSet


class Mirror:
    """Draws mirror images of the rows of a batch.

    Args:
        variables: of the rows.
        seed: of the run.

    Raises:
        SettingsError: a set without winds, where there is nothing to mirror.
    """

    def __init__(self, variables: VariableSet, seed: int) -> None:
        self._seed, self._signs = seed, four_images(variables, "training.mirror")

    def __call__(self, batch: Batch, step: int) -> Batch:
        """The batch with some of its rows mirrored, in arrays of its own."""
        words = scattered(batch.row.astype(np.uint64) ^ np.uint64(hash_of(self._seed, step)))
        image = (words & np.uint64(3)).astype(np.intp)
        return batch._replace(
            inputs=batch.inputs * self._signs.inputs[image], targets=batch.targets * self._signs.targets[image]
        )
