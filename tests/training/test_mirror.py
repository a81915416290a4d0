"""Mirror images: signs against a plain loop, all four images, one image in whatever share of a batch."""

import numpy as np
import pytest

from subgrid.errors import SettingsError
from subgrid.records.stream import Batch
from subgrid.schema.variable_sets import variable_set
from subgrid.training.mirror import Mirror

KAGGLE = variable_set("kaggle")


def rows(count: int) -> Batch:
    rng = np.random.default_rng(0)
    inputs = rng.normal(size=(count, KAGGLE.input_width)).astype(np.float32)
    targets = rng.normal(size=(count, KAGGLE.target_width)).astype(np.float32)
    for array in (inputs, targets):
        array.flags.writeable = False  # as rows of a mapped shard
    number = np.arange(count) * 384 + 7
    return Batch(inputs, targets, number, np.zeros(count, np.int32), number, np.zeros(count, np.int8))


def signs(batch: Batch, image: Batch) -> np.ndarray:
    """(row, 2): sign of the zonal and of the meridional wind in an image."""
    ratio = image.inputs / batch.inputs
    return np.stack([ratio[:, KAGGLE.input_slices[name]][:, 0] for name in ("state_u", "state_v")], axis=1)


def test_an_image_has_winds_stresses_and_accelerations_of_one_sign_and_all_else_as_it_was() -> None:
    batch = rows(200)
    image = Mirror(KAGGLE, seed=3)(batch, 5)
    found = signs(batch, image)
    for side, names in enumerate(("state_u pbuf_TAUX ptend_u", "state_v pbuf_TAUY ptend_v")):
        *inputs, target = names.split()
        for name in inputs:
            place = KAGGLE.input_slices[name]
            np.testing.assert_array_equal(image.inputs[:, place], batch.inputs[:, place] * found[:, side : side + 1])
        place = KAGGLE.target_slices[target]
        np.testing.assert_array_equal(image.targets[:, place], batch.targets[:, place] * found[:, side : side + 1])
    changed = (image.inputs != batch.inputs).any(axis=0)
    assert [name for name in KAGGLE.input_slices if changed[KAGGLE.input_slices[name]].any()] == [
        "state_u", "state_v", "pbuf_TAUX", "pbuf_TAUY",
    ]  # fmt: skip
    assert np.flatnonzero((image.targets != batch.targets).any(axis=0)).size == 120


def test_the_four_images_are_equally_frequent_and_differ_from_step_to_step_and_from_seed_to_seed() -> None:
    batch = rows(4000)
    found = signs(batch, Mirror(KAGGLE, seed=0)(batch, 0))
    counts = np.bincount((found[:, 0] < 0) + 2 * (found[:, 1] < 0), minlength=4)
    assert np.all(np.abs(counts - 1000) < 5 * np.sqrt(4000 * 0.25 * 0.75))  # five standard deviations
    for other in (Mirror(KAGGLE, seed=0)(batch, 1), Mirror(KAGGLE, seed=1)(batch, 0)):
        same = (signs(batch, other) == found).mean(axis=0)
        assert np.all(np.abs(same - 0.5) < 0.05)


def test_a_row_has_the_same_image_in_whatever_share_of_a_batch() -> None:
    batch, mirror = rows(16), Mirror(KAGGLE, seed=2)
    whole = mirror(batch, 9)
    share = mirror(Batch(*(values[1::2] for values in batch)), 9)
    np.testing.assert_array_equal(share.inputs, whole.inputs[1::2])
    np.testing.assert_array_equal(share.targets, whole.targets[1::2])


def test_a_set_without_wind_is_refused() -> None:
    with pytest.raises(SettingsError, match=r"training.mirror = true needs state_u"):
        Mirror(variable_set("v1"), seed=0)
