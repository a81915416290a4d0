"""Made-up scores with every family of fields, and cases of the tiny chain."""

from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import pytest
import xarray

from subgrid.report.cases import Case, study
from subgrid.report.subjects import Progress, resolve
from subgrid.schema.variable_sets import variable_set

TARGETS = variable_set("kaggle").targets
LEVELS, BANDS, COLUMNS = 60, 18, 48
EDGES = np.array([-np.inf, *(2.0 ** np.arange(-6, 4)), np.inf])


def _silent(what: str, unit: str) -> nullcontext[Callable[[int, int], None]]:
    return nullcontext(lambda done, total: None)


@pytest.fixture(scope="session")
def silent() -> Progress:
    """A display that shows nothing."""
    return _silent


def made_up(seed: int, members: int = 0) -> xarray.Dataset:
    """Scores as an evaluation gives them; profiles of the waters are undefined aloft."""
    random = np.random.default_rng(seed)
    names = [item.name for item in TARGETS]
    real = np.array([[level < item.levels for level in range(LEVELS)] for item in TARGETS])
    real[1:4, :12] = False
    table = {name: np.where(real, random.normal(size=real.shape), np.nan) for name in ("mae", "rmse", "bias")}
    table |= {"r2": np.where(real, random.uniform(-0.4, 1, real.shape), np.nan), "rmse": np.abs(table["rmse"])}
    table |= {"truth_mean": np.where(real, 0.0, np.nan), "truth_std": np.where(real, 1.0, np.nan)}
    fields = {name: (("variable", "level"), values) for name, values in table.items()}
    value = random.uniform(0.1, 0.9, len(names))
    fields |= {
        "variable_r2": (("variable",), value),
        "variable_r2_interval": (("variable", "bound"), np.stack([value - 0.1, value + 0.1], 1)),
        "band_r2": (
            ("variable", "level", "band"),
            np.where(real[:, :, None], random.uniform(-0.4, 1, (*real.shape, BANDS)), np.nan),
        ),
        "band_edges": (("band", "bound"), np.stack([np.arange(-90, 90, 10), np.arange(-80, 100, 10)], 1)),
        "column_r2": (("variable", "column"), random.uniform(-0.4, 1, (len(names), COLUMNS))),
        "column_bias": (("variable", "column"), random.normal(size=(len(names), COLUMNS))),
        "column_samples": (("column",), np.full(COLUMNS, 12)),
    }
    fields |= _budgets(random) | _waters(random) | _rain(random) | _confidence(random)
    if members:
        fields |= {name: (("variable", "level"), np.abs(table["bias"])) for name in ("crps", "spread_skill")}
        counts = random.integers(1, 50, (len(names), members + 1)).astype(float)
        fields["rank_count"] = (("variable", "rank"), counts)
    coordinates = {
        "variable": names,
        "level": np.arange(LEVELS),
        "level_pressure": (("level",), np.geomspace(10.0, 99_000.0, LEVELS)),
        "lat": (("column",), np.degrees(np.arcsin(np.linspace(-0.99, 0.99, COLUMNS)))),
        "lon": (("column",), np.arange(COLUMNS) * 137.5 % 360),
        "source": ["truth", "prediction"],
        "bound": ["low", "high"],
    }
    return xarray.Dataset(fields, coordinates)


def _budgets(random: np.random.Generator) -> dict[str, tuple]:
    names, edges = ["water", "enthalpy"], np.array([-np.inf, -100, -10, -1, 1, 10, 100, np.inf])
    share = random.dirichlet(np.ones(edges.size - 1), (len(names), 2))
    return {
        "budget": (("budget",), names),
        "budget_edge": (("budget_edge",), edges),
        "budget_histogram": (("budget", "source", "budget_bin"), share),
        "budget_mean": (("budget", "source"), random.normal(size=(2, 2))),
        "budget_rms": (("budget", "source"), random.uniform(1, 2, (2, 2))),
        "budget_error_rms": (("budget",), random.uniform(1, 2, 2)),
    }


def _waters(random: np.random.Generator) -> dict[str, tuple]:
    share = random.uniform(0, 0.3, (3, 2, LEVELS))
    share[:, 0] = 0.0
    return {
        "water": (("water",), ["q0001", "q0002", "q0003"]),
        "negative_share_by_level": (("water", "source", "level"), share),
        "negative_share": (("water", "source"), share.mean(-1)),
        "negative_columns": (("water", "source"), share.max(-1)),
    }


def _rain(random: np.random.Generator) -> dict[str, tuple]:
    names, thresholds = ["cam_out_PRECC", "cam_out_PRECSC"], np.geomspace(0.1, 1000, 40)
    quantiles = np.array([0.5, 0.9, 0.99, 0.999])
    fall = np.minimum(1, 0.5 * (thresholds / 0.1) ** -0.6) * random.uniform(0.9, 1.1, (2, 2, 1))
    fall[:, 1, 30:] = 0.0  # the prediction never rains so hard
    axes = ("precipitation", "source")
    return {
        "precipitation": (axes[:1], names),
        "precipitation_threshold": (("precipitation_threshold",), thresholds),
        "quantile": (("quantile",), quantiles),
        "precipitation_exceedance": ((*axes, "precipitation_threshold"), fall),
        "precipitation_quantile": ((*axes, "quantile"), np.tile([0.0, 3.0, 30.0, 90.0], (2, 2, 1))),
    } | {
        f"precipitation_{name}": (axes, random.uniform(0, 1, (2, 2))) for name in ("mean", "highest", "dry", "negative")
    }


def _confidence(random: np.random.Generator) -> dict[str, tuple]:
    count = EDGES.size - 1
    share = random.dirichlet(np.ones(count))
    kept = np.arange(20, 1, -1) / 20
    return {
        "confidence_edge": (("confidence_edge",), EDGES),
        "confidence_found": (("confidence_bin",), np.geomspace(0.02, 20, count)),
        "confidence_share": (("confidence_bin",), share),
        "kept": (("kept",), kept),
        "kept_r2": (("kept",), 0.9 - 0.5 * kept),
        "kept_mae": (("kept",), kept),
    }


@pytest.fixture(scope="session")
def scores() -> xarray.Dataset:
    """Scores of one made-up run; for reading only."""
    return made_up(0, members=5)


@pytest.fixture(scope="session")
def others() -> list[xarray.Dataset]:
    """Scores of three made-up runs; for reading only."""
    return [made_up(seed, members=5) for seed in range(3)]


@pytest.fixture(scope="session")
def case(work: Path, tmp_path_factory: pytest.TempPathFactory) -> Case:
    """The tiny chain's prediction, studied; for reading only."""
    out = tmp_path_factory.mktemp("report")
    return study(resolve([f"tiny={work}"], None, out, _silent)[0], _silent)
