"""The two mirrors of a column.

Physics inside a column does not know east from west nor north from south: with the zonal wind and the zonal surface
stress of the opposite sign, the zonal acceleration has the opposite sign, and all else stays; so with the meridional
ones. (The sub-grid model of E3SM-MMF has no rotation, and its two horizontal directions are mirrored on their own.)
"""

from typing import NamedTuple

import numpy as np

from subgrid.errors import SettingsError
from subgrid.schema.variable_sets import VariableSet

MIRRORED = (("state_u", "pbuf_TAUX", "ptend_u"), ("state_v", "pbuf_TAUY", "ptend_v"))
"""What changes its sign in each of the two mirrors: inputs, and the target, which comes last."""


class Signs(NamedTuple):
    """Of the images of a column, the column itself first: 1, or -1 where a value is turned round.

    Attributes:
        inputs: float32 (image, input_width).
        targets: float32 (image, target_width).
    """

    inputs: np.ndarray
    targets: np.ndarray


def as_it_is(variables: VariableSet) -> Signs:
    """One image: the column itself."""
    return Signs(*(np.ones((1, width), dtype=np.float32) for width in (variables.input_width, variables.target_width)))


def four_images(variables: VariableSet, key: str) -> Signs:
    """As it is, the zonal mirror, the meridional one, both.

    Raises:
        SettingsError: a set that lacks one of the variables; ``key``, true in the recipe, is named as what needs them.
    """
    known = {**variables.input_slices, **variables.target_slices}
    if lacking := [name for names in MIRRORED for name in names if name not in known]:
        raise SettingsError(
            f"{key} = true needs {', '.join(lacking)}; the variable set {variables.name!r} is without. "
            f"Use --set {key}=false"
        )
    signs = Signs(*(np.repeat(ones, 4, axis=0) for ones in as_it_is(variables)))
    for bit, (*inputs, target) in enumerate(MIRRORED):
        turned = [image for image in range(4) if image >> bit & 1]
        for name in inputs:
            signs.inputs[turned, variables.input_slices[name]] = -1
        signs.targets[turned, variables.target_slices[target]] = -1
    return signs
