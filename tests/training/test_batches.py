"""Where and when, against dates that can be checked by hand; encoded batches against the encoder itself."""

from math import cos, pi, sin

import numpy as np
import pytest
import torch

from subgrid.model.emulator import build_emulator
from subgrid.source.synthetic.grid import fibonacci_grid
from subgrid.training.batches import Origin, Prepared, prepare, space_time
from subgrid.training.checkpoint import emulator_settings
from subgrid.training.losses import Goal

DAY = 86_400


def test_places_and_phases(data) -> None:
    quarter = 91 * DAY + DAY // 4  # a quarter of the year of 365 days, at six in the morning
    times = np.array([0, quarter, 3 * 365 * DAY + 18 * 3600], dtype=np.int64)
    values, known = space_time(times, np.array([0, 5, 2], dtype=np.int32), data.grid)
    lat, lon = data.grid.lat, data.grid.lon
    assert known.all()
    np.testing.assert_allclose(values[:, 0], lat[[0, 5, 2]] / 90)
    np.testing.assert_allclose(values[:, 1], lon[[0, 5, 2]] / 180 - 1)
    angle = 2 * pi * 0.75 / 365
    expected = [[0, 1, 0, 1], [1, 0, 1, 0], [-1, 0, sin(angle), cos(angle)]]
    np.testing.assert_allclose(values[:, 2:], expected, atol=1e-12)


def test_unknown_time_or_place_is_masked(data) -> None:
    values, known = space_time(np.array([-1, 1200, 1200]), np.array([0, -1, 3], dtype=np.int32), data.grid)
    assert known.tolist() == [False, False, True]
    assert not values[:2].any() and values[2].any()


@pytest.mark.parametrize("with_place", [True, False])
def test_a_batch_is_encoded_by_the_emulators_own_encoder(data, tiny, with_place: bool) -> None:
    emulator = build_emulator(emulator_settings(tiny().model_dump(mode="json")), data.table("training"))
    batch = next(iter(data.scan("validation", 8)))
    inputs, goal = prepare(batch, emulator, [Origin(data.grid if with_place else None)])
    assert torch.equal(inputs, emulator.encoder(torch.from_numpy(batch.inputs)))
    assert torch.equal(goal.targets, emulator.targets.normalise(torch.from_numpy(batch.targets)))
    assert not inputs.requires_grad
    if not with_place:
        assert goal.auxiliary is None and goal.known is None
        return
    values, known = space_time(batch.time, batch.column, data.grid)
    np.testing.assert_allclose(goal.auxiliary.numpy(), values, atol=1e-6)
    assert goal.known.bool().tolist() == known.tolist()


@pytest.mark.parametrize("place", [True, False])
def test_pieces_are_the_batch_in_order(place: bool) -> None:
    extra = (torch.arange(12.0).view(6, 2), torch.arange(6.0)) if place else (None, None)
    batch = Prepared(torch.arange(24.0).view(6, 2, 2), Goal(torch.arange(18.0).view(6, 3), *extra))
    assert batch.pieces(1) == [batch]
    pieces = batch.pieces(3)
    assert [piece.inputs.shape[0] for piece in pieces] == [2, 2, 2]
    for name in ("targets", "auxiliary", "known"):
        parts, whole = [getattr(piece.goal, name) for piece in pieces], getattr(batch.goal, name)
        assert torch.equal(torch.cat(parts), whole) if whole is not None else parts == [None] * 3


def test_every_row_is_prepared_as_one_of_its_own_data_set(data, tiny) -> None:
    """Two grids of different size, and a clip for one of them, against batches of one origin each."""
    emulator = build_emulator(emulator_settings(tiny().model_dump(mode="json")), data.table("training"))
    batch = next(iter(data.scan("training", 40)))
    far = np.where(np.arange(40)[:, None] % 2, 50 * batch.targets, batch.targets).astype(np.float32)
    batch = batch._replace(targets=far, origin=np.repeat(np.array([0, 1], dtype=np.int8), [25, 15]))
    fine = fibonacci_grid(1000)
    origins = [Origin(data.grid), Origin(fine, clip=1.1)]
    found = prepare(batch, emulator, origins)
    plain, clipped = (prepare(batch._replace(origin=np.zeros(40, dtype=np.int8)), emulator, [one]) for one in origins)
    for which in ("targets", "auxiliary", "known"):
        expected = torch.cat([getattr(plain.goal, which)[:25], getattr(clipped.goal, which)[25:]])
        assert torch.equal(getattr(found.goal, which), expected)
    assert not torch.equal(plain.goal.targets[25:], clipped.goal.targets[25:])
    np.testing.assert_allclose(found.goal.auxiliary[25:, 0].numpy(), fine.lat[batch.column[25:]] / 90, atol=1e-6)
    assert torch.equal(found.inputs, plain.inputs)
