"""Signs of the four images, written out variable by variable."""

import numpy as np
import pytest

from subgrid.errors import SettingsError
from subgrid.representation.symmetry import as_it_is, four_images
from subgrid.schema.variable_sets import variable_set

ZONAL, MERIDIONAL = {"state_u", "pbuf_TAUX", "ptend_u"}, {"state_v", "pbuf_TAUY", "ptend_v"}


@pytest.mark.parametrize("name", ["kaggle", "v2"])
def test_an_image_turns_what_its_mirrors_turn_and_nothing_else(name: str) -> None:
    variables = variable_set(name)
    signs = four_images(variables, "key")
    for image, turned in enumerate((set(), ZONAL, MERIDIONAL, ZONAL | MERIDIONAL)):
        for slices, found in ((variables.input_slices, signs.inputs), (variables.target_slices, signs.targets)):
            for variable, place in slices.items():
                assert np.all(found[image, place] == (-1 if variable in turned else 1)), (image, variable)


def test_the_column_itself_is_one_image_of_any_set() -> None:
    variables = variable_set("v1")
    inputs, targets = as_it_is(variables)
    assert inputs.shape == (1, variables.input_width) and targets.shape == (1, variables.target_width)
    assert np.all(inputs == 1) and np.all(targets == 1)


def test_a_set_without_wind_is_refused() -> None:
    with pytest.raises(
        SettingsError, match=r"some.key = true needs state_u, pbuf_TAUX, .* 'v1' is without. Use --set s"
    ):
        four_images(variable_set("v1"), "some.key")
