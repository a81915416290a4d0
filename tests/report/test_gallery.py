"""The gallery: the same rows however they come, no more than asked for, the worst by their errors."""

import numpy as np
import pytest

from subgrid.evaluation.rows import Frame, Rows
from subgrid.records.order import scattered
from subgrid.report.gallery import Gallery, GallerySettings
from subgrid.schema.grid import Grid
from subgrid.schema.variable_sets import scored_columns, variable_set

KAGGLE = variable_set("kaggle")
COLUMNS = 24


@pytest.fixture(scope="module")
def frame() -> Frame:
    edges = np.linspace(0, 1, 61)
    middle = (edges[1:] + edges[:-1]) / 2
    grid = Grid(
        np.linspace(-80, 80, COLUMNS), np.linspace(0, 350, COLUMNS), np.full(COLUMNS, 4 * np.pi / COLUMNS),
        0.001 + 0 * middle, middle, 0.001 + 0 * edges, edges,
    )  # fmt: skip
    return Frame(KAGGLE, grid)


@pytest.fixture(scope="module")
def rows() -> Rows:
    """480 rows with standard deviations of 2 and errors that differ from row to row."""
    random, count = np.random.default_rng(0), 480
    truth = 2 * random.normal(size=(count, KAGGLE.target_width))
    prediction = truth + random.uniform(0, 3, (count, 1)) * random.normal(size=truth.shape)
    prediction[7, 3] += 1e6  # one wild value must not make a worst column
    inputs = random.uniform(size=(count, KAGGLE.input_width))
    return Rows(prediction, truth, np.arange(count) % COLUMNS, np.arange(count) * 1200, np.arange(count) * 7, inputs)


def gather(frame: Frame, rows: Rows, pieces: list[np.ndarray], settings: GallerySettings) -> Gallery:
    """A gallery that was given the rows in these pieces."""
    gallery = Gallery(frame, np.full(KAGGLE.target_width, 2.0), settings)
    for piece in pieces:
        gallery.add(Rows(*(None if values is None else values[piece] for values in rows)))
    return gallery


def test_the_same_rows_whatever_the_order_and_chunks(frame: Frame, rows: Rows) -> None:
    settings = GallerySettings(sample=50, worst=3)
    shuffled = np.random.default_rng(1).permutation(480)
    whole = gather(frame, rows, [np.arange(480)], settings)
    pieces = gather(frame, rows, [*np.array_split(shuffled, 13), np.arange(0)], settings)
    np.testing.assert_array_equal(whole.truth, pieces.truth)
    np.testing.assert_array_equal(whole.prediction, pieces.prediction)
    assert [one.row for one in whole.worst] == [one.row for one in pieces.worst]
    np.testing.assert_allclose(whole.land, pieces.land)


def test_the_sample_is_as_large_as_asked_and_looks_drawn(frame: Frame, rows: Rows) -> None:
    gallery = gather(frame, rows, [np.arange(480)], GallerySettings(sample=200))
    assert gallery.truth.shape == (200, KAGGLE.target_width)
    numbers = [int(np.flatnonzero((rows.truth == one).all(1))[0]) for one in gallery.truth]
    assert len(set(numbers)) == 200
    assert 180 < np.mean(numbers) < 300
    few = gather(frame, rows, [np.arange(480)], GallerySettings(sample=10_000))
    assert len(few.truth) == 480


def test_the_worst_rows_are_those_of_the_largest_error(frame: Frame, rows: Rows) -> None:
    gallery = gather(frame, rows, np.array_split(np.arange(480), 5), GallerySettings(worst=4))
    error = np.minimum(np.abs(rows.prediction - rows.truth) / 2, 10)[:, scored_columns(KAGGLE)]
    size = np.sqrt((error**2).mean(1))
    expected = np.argsort(-size)[:4]
    assert [one.row for one in gallery.worst] == (7 * expected).tolist()
    np.testing.assert_allclose([one.error for one in gallery.worst], size[expected])
    np.testing.assert_array_equal(gallery.worst[0].truth, rows.truth[expected[0]])
    np.testing.assert_array_equal(gallery.worst[0].inputs, rows.inputs[expected[0]])


def test_targets_that_do_not_vary_do_not_count(frame: Frame, rows: Rows) -> None:
    scale = np.full(KAGGLE.target_width, 2.0)
    scale[[0, 5]] = 0.0, np.nan
    gallery = Gallery(frame, scale)
    gallery.add(rows)
    assert all(np.isfinite(one.error) for one in gallery.worst)


def test_land_is_the_mean_of_each_column(frame: Frame, rows: Rows) -> None:
    unknown = rows._replace(column=np.where(rows.column == 3, -1, rows.column))
    gallery = gather(frame, unknown, np.array_split(np.arange(480), 3), GallerySettings())
    land = rows.inputs[:, KAGGLE.input_slices["cam_in_LANDFRAC"].start]
    expected = [np.nan if one == 3 else land[rows.column == one].mean() for one in range(COLUMNS)]
    np.testing.assert_allclose(gallery.land, expected)
    assert gather(Frame(KAGGLE, None), rows, [np.arange(480)], GallerySettings()).land is None


def test_no_two_rows_share_a_key() -> None:
    keys = scattered(np.arange(200_000))
    assert np.unique(keys).size == keys.size
    shares = np.histogram(keys.astype(float), bins=16, range=(0, 2.0**64))[0] / keys.size
    np.testing.assert_allclose(shares, 1 / 16, rtol=0.05)


def test_rows_without_grid_and_inputs_can_be_shown(rows: Rows) -> None:
    gallery = Gallery(Frame(KAGGLE, None), np.full(KAGGLE.target_width, 2.0), GallerySettings(worst=2))
    gallery.add(rows._replace(inputs=None, column=np.full(480, -1), time=np.full(480, -1)))
    assert gallery.land is None
    assert [one.inputs for one in gallery.worst] == [None, None]
