"""Mirror images of columns as further rows to learn from.

Physics inside a column does not know east from west nor north from south: with the zonal wind and the zonal surface
stress of the opposite sign, the zonal acceleration has the opposite sign, and all else stays; so with the meridional
ones. Two mirrors make four equally true rows of one. (The sub-grid model of E3SM-MMF has no rotation, and its two
horizontal directions are mirrored on their own.) What knows the place, latitude and longitude, is an output here, never
an input.

Each row of a step is mirrored or not by two bits of a word that follows from the run's seed, the step and the row's
number: the same however many processes share the batch, and after a resume.
"""

import numpy as np

from subgrid.errors import SettingsError
from subgrid.records.order import hash_of, scattered
from subgrid.records.stream import Batch
from subgrid.schema.variable_sets import VariableSet

MIRRORED = (("state_u", "pbuf_TAUX", "ptend_u"), ("state_v", "pbuf_TAUY", "ptend_v"))
"""What changes its sign in each of the two mirrors: inputs, and the target, which comes last."""


class Mirror:
    """Draws mirror images of the rows of a batch.

    Args:
        variables: of the rows.
        seed: of the run.

    Raises:
        SettingsError: a set that lacks one of the variables: without wind there is nothing to mirror.
    """

    def __init__(self, variables: VariableSet, seed: int) -> None:
        known = {**variables.input_slices, **variables.target_slices}
        if lacking := [name for names in MIRRORED for name in names if name not in known]:
            raise SettingsError(
                f"training.mirror = true needs {', '.join(lacking)}; the variable set {variables.name!r} is without. "
                "Use --set training.mirror=false"
            )
        self._seed = seed
        self._signed = [
            ([variables.input_slices[name] for name in inputs], variables.target_slices[target])
            for *inputs, target in MIRRORED
        ]

    def __call__(self, batch: Batch, step: int) -> Batch:
        """The batch with some of its rows mirrored, in arrays of its own."""
        words = scattered(batch.row.astype(np.uint64) ^ np.uint64(hash_of(self._seed, step)))
        inputs, targets = batch.inputs.copy(), batch.targets.copy()
        for bit, (places, target) in enumerate(self._signed):
            chosen = (words >> np.uint64(bit)) & np.uint64(1) == 1
            for place in places:
                inputs[chosen, place] *= -1
            targets[chosen, target] *= -1
        return batch._replace(inputs=inputs, targets=targets)
