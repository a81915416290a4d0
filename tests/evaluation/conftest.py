"""Rows of both worlds read without our own reader, made-up rows, and chunks of them."""

from collections.abc import Callable, Iterable
from pathlib import Path

import netCDF4
import numpy as np
import pytest

from subgrid.evaluation.rows import Frame, Part, Rows
from subgrid.schema.grid import Grid
from subgrid.schema.variable_sets import VariableSet, variable_set


def _read(path: Path) -> dict[str, np.ndarray]:
    with netCDF4.Dataset(path) as file:
        file.set_auto_mask(False)
        return {name: np.asarray(item[...]).T for name, item in file.variables.items()}


def _rows(source: Path, every: int, variables: VariableSet) -> Rows:
    """All columns of every so many-th step, float64; the prediction is the truth."""
    inputs, targets = [], []
    pairs = [(mli, Path(str(mli).replace(".mli.", ".mlo."))) for mli in sorted(source.rglob("*.mli.*.nc"))]
    for mli, mlo in [pair for pair in pairs if pair[1].exists()][::every]:
        before, after = _read(mli), _read(mlo)
        changes = {
            item.name: (after[item.state] - before[item.state]) / 1200.0 if item.state else after[item.name]
            for item in variables.targets
        }
        inputs.append(np.concatenate([before[v.name].reshape(-1, v.levels) for v in variables.inputs], axis=1))
        targets.append(np.concatenate([changes[v.name].reshape(-1, v.levels) for v in variables.targets], axis=1))
    truth, steps = np.concatenate(targets), len(targets)
    column = np.tile(np.arange(len(truth) // steps), steps)
    unknown = np.full(len(truth), -1)
    return Rows(truth, truth, column, unknown, np.arange(len(truth)), np.concatenate(inputs))


def _frame(source: Path) -> Frame:
    return Frame(variable_set("kaggle"), Grid.read(next(source.glob("*_grid-info.nc"))))


@pytest.fixture(scope="session")
def real_frame(real_source: Path) -> Frame:
    return _frame(real_source)


@pytest.fixture(scope="session")
def synthetic_frame(synthetic_source: Path) -> Frame:
    return _frame(synthetic_source)


@pytest.fixture(scope="session")
def real_rows(real_source: Path) -> Rows:
    """Every tenth of the real steps: 2,304 rows."""
    return _rows(real_source, 10, variable_set("kaggle"))


@pytest.fixture(scope="session")
def synthetic_rows(synthetic_source: Path) -> Rows:
    return _rows(synthetic_source, 1, variable_set("kaggle"))


@pytest.fixture(scope="session")
def noisy_rows(real_rows: Rows) -> Rows:
    """The real rows with a prediction that errs by half the truth's standard deviation, and says by how much it may."""
    random = np.random.default_rng(7)
    spread = real_rows.truth.std(axis=0)
    size = random.lognormal(-1.0, 0.7, (len(real_rows.row), 1))  # of a row's errors, in standard deviations
    prediction = real_rows.truth + size * spread * random.normal(size=real_rows.truth.shape)
    confidence = size * np.sqrt(2 / np.pi) * random.lognormal(0.0, 0.3, real_rows.truth.shape)
    return real_rows._replace(prediction=prediction, confidence=confidence.astype(np.float32))


@pytest.fixture(scope="session")
def same_in_chunks(noisy_rows: Rows) -> Callable[[Callable[[], Part], Iterable[int], int], None]:
    """Checks a part: rows cut at these places, dealt to two accumulators and merged, give the fields of all at once."""

    def check(make: Callable[[], Part], cuts: Iterable[int], size: int = 400) -> None:
        rows = noisy_rows.part(slice(0, size))
        whole, one, other = make(), make(), make()
        whole.add(rows)
        edges = sorted({0, size, *cuts})
        for number, (start, stop) in enumerate(zip(edges, edges[1:], strict=False)):
            (other if number % 2 else one).add(rows.part(slice(start, stop)))
        one.merge(other)
        found, expected = one.fields(), whole.fields()
        assert found.keys() == expected.keys() and expected
        for name, field in expected.items():
            assert field.axes == found[name].axes and field.values.ndim == len(field.axes), name
            if field.values.dtype.kind in "US":
                np.testing.assert_array_equal(found[name].values, field.values)
                continue
            size_of = np.abs(field.values[np.isfinite(field.values)]).max(initial=0)
            np.testing.assert_allclose(found[name].values, field.values, rtol=1e-10, atol=1e-12 * size_of, err_msg=name)

    return check
