"""All scores of an evaluation as one ``xarray.Dataset`` with coordinates: what ``subgrid score --out`` writes.

``xr.open_dataset(file).r2.sel(variable="ptend_t")`` is R2 by level. Profiles have 60 levels, level 0 on top; a scalar
stands at level 0 and is NaN elsewhere (``levels`` says how many levels a variable has). A field that is called like its
one axis is the coordinate of that axis.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from subgrid.evaluation import scores
from subgrid.evaluation.evaluation import Evaluation
from subgrid.evaluation.intervals import FEW_BLOCKS, Interval, intervals
from subgrid.evaluation.rows import Field, Frame, by_variable
from subgrid.evaluation.scorecard import FIGURES
from subgrid.schema.variable_sets import scored_columns
from subgrid.schema.variables import LEVELS

if TYPE_CHECKING:
    import xarray

REFERENCE_PRESSURE = 1e5
"""Surface pressure in Pa of the column whose midpoint pressures stand for the levels."""
_PLAIN = {
    "r2": (scores.r2, "1", "R2 of the network's own values, all samples together"),
    "mae": (scores.mae, "", "mean absolute error"),
    "rmse": (scores.rmse, "", "root of the mean squared error"),
    "bias": (scores.bias, "", "mean of prediction - truth"),
    "truth_std": (scores.truth_std, "", "standard deviation of the truth"),
}


def as_dataset(evaluation: Evaluation, attributes: dict[str, Any] | None = None) -> "xarray.Dataset":
    """The scores with coordinates; ``attributes`` say what was evaluated (run, data digest, versions)."""
    import xarray

    fields = all_fields(evaluation)
    entries = {name: (field.axes, field.values, _attributes(field)) for name, field in fields.items()}
    coordinates = {name for name, field in fields.items() if field.axes == (name,)}
    coordinates |= {name for name in ("unit", "levels", "level_pressure", "lat", "lon", "area") if name in fields}
    return xarray.Dataset(
        {name: entry for name, entry in entries.items() if name not in coordinates},
        {name: entry for name, entry in entries.items() if name in coordinates},
        {"blocks": evaluation.blocks.count, "block_days": evaluation.blocks.days,
         "intervals_weak": int(evaluation.blocks.count < FEW_BLOCKS), "rows": evaluation.card.rows,
         "rule": int(evaluation.card.has_rule), **(attributes or {})},
    )  # fmt: skip


def all_fields(evaluation: Evaluation) -> dict[str, Field]:
    """Every score and coordinate by name."""
    return _coordinates(evaluation.frame) | _total(evaluation) | _figures(evaluation) | evaluation.fields()


def fields_json(evaluation: Evaluation) -> dict[str, Any]:
    """Every score and coordinate as nested lists with axes, unit and meaning; null where a score is not defined."""
    return {
        name: {**field._asdict(), "axes": list(field.axes), "values": _plain_lists(field.values)}
        for name, field in all_fields(evaluation).items()
    }


def _plain_lists(values: np.ndarray) -> Any:
    if values.dtype.kind != "f":
        return values.tolist()
    return np.where(np.isfinite(values), values, None).tolist()  # type: ignore[call-overload]


def write_dataset(path: Path, dataset: "xarray.Dataset") -> None:
    """Write the scores as NetCDF, compressed; the caller sees to it that a half-written file is not taken for whole."""
    dataset.to_netcdf(path, engine="netcdf4", encoding={
        name: {"zlib": True, "complevel": 4} for name, values in dataset.data_vars.items() if values.dtype.kind == "f"
    })  # fmt: skip


def _attributes(field: Field) -> dict[str, str]:
    return {"long_name": field.meaning} | ({"units": field.unit} if field.unit else {})


def _coordinates(frame: Frame) -> dict[str, Field]:
    targets, grid = frame.variables.targets, frame.grid
    found = {
        "variable": Field(("variable",), np.array([item.name for item in targets]), "", "target variable"),
        "unit": Field(("variable",), np.array([item.unit for item in targets]), "", "unit of the variable"),
        "levels": Field(("variable",), np.array([item.levels for item in targets]), "1", "levels of the variable"),
        "level": Field(("level",), np.arange(LEVELS), "1", "level, 0 on top of the model"),
    }
    if grid is None:
        return found
    pressure = grid.P0 * grid.hyam + REFERENCE_PRESSURE * grid.hybm
    meaning = f"pressure at the midpoint of a level where the surface has {REFERENCE_PRESSURE:.0f} Pa"
    return found | {
        "level_pressure": Field(("level",), pressure, "Pa", meaning),
        "lat": Field(("column",), grid.lat, "degrees_north", "latitude"),
        "lon": Field(("column",), grid.lon, "degrees_east", "longitude"),
        "area": Field(("column",), grid.area, "sr", "area as a solid angle"),
    }


def _total(evaluation: Evaluation) -> dict[str, Field]:
    """Scores of all samples together, in the units of the variables."""
    axes, variables, own = ("variable", "level"), evaluation.frame.variables, evaluation.card.own
    found = {
        name: Field(axes, by_variable(variables, score(own)), unit, meaning)
        for name, (score, unit, meaning) in _PLAIN.items()
    }
    mean = np.where(own.weight > 0, own.mean, np.nan)
    scored = scored_columns(variables).astype(np.float64)
    return found | {
        "truth_mean": Field(axes, by_variable(variables, mean), "", "mean of the truth"),
        "scored": Field(axes, by_variable(variables, scored), "1", "1 where the competition scores the column"),
    }


def _figures(evaluation: Evaluation) -> dict[str, Field]:
    """The three figures and the mean R2 of each variable, with 95 per cent intervals."""
    found = intervals(evaluation.blocks)
    figures = [name for name in FIGURES if name in found]
    variables = [item.name for item in evaluation.frame.variables.targets]
    bounds = {"bound": Field(("bound",), np.array(["low", "high"]), "", "bounds of the 95 per cent interval")}
    return (
        bounds | _with_interval("figure", figures, found) | _with_interval("variable_r2", variables, found, "variable")
    )


def _with_interval(name: str, members: list[str], found: dict[str, Interval], axis: str = "") -> dict[str, Field]:
    if not members:
        return {}
    axis = axis or name
    values = np.array([found[member].value for member in members])
    limits = np.array([[found[member].low, found[member].high] for member in members])
    own = {axis: Field((axis,), np.array(members), "", "name of the score")} if axis == name else {}
    value = f"{name}_value" if axis == name else name
    meaning = "of all rows" if axis == name else "mean of max(R2, 0) over the levels of r2_294"
    return own | {
        value: Field((axis,), values, "1", meaning),
        f"{name}_interval": Field((axis, "bound"), limits, "1", "95 per cent interval, bootstrap over blocks of days"),
    }
