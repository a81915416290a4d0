"""What the page shows of the cases: sections in order, each with its plates; a section without data is not there."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from subgrid.evaluation.places import FEW_SAMPLES
from subgrid.physics.pressure import midpoint_pressure
from subgrid.report import diagnostics
from subgrid.report.cases import Case
from subgrid.report.figures import maps, opened, profiles, scatter, training, zonal
from subgrid.report.figures import scores as score_figures
from subgrid.report.figures.projection import Raster, raster
from subgrid.report.figures.style import display, title
from subgrid.report.gallery import OpenedRow
from subgrid.report.plates import Plate, Section
from subgrid.report.subjects import slug
from subgrid.schema.variables import TABLE

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_YEAR, _DAY = 365, 86_400
_MONTHS = (31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)


def sections(cases: Sequence[Case]) -> list[Section]:
    """All sections that the cases have data for."""
    found = (part(cases) for part in _PARTS)
    return [section for section in found if section.plates]


def _labels(cases: Sequence[Case]) -> list[str]:
    return [case.label for case in cases]


def _names(case: Case, levels: Callable[[int], bool] = lambda count: True) -> list[str]:
    return [str(name) for name in case.scores["variable"].values if levels(TABLE[str(name)].levels)]


def _profiles(case: Case) -> list[str]:
    return _names(case, lambda count: count > 1)


def _with(cases: Sequence[Case], field: str) -> list[Case]:
    return [case for case in cases if field in case.scores]


def _variables(cases: Sequence[Case]) -> Section:
    plates = []
    if len(_with(cases, "variable_r2")) == len(cases):
        plates = [
            Plate(
                "r2-by-variable",
                "R² by variable",
                "Dots: mean of max(R², 0) over the levels that r2_294 compares and where it is defined. Bars: 95 % "
                "interval from a bootstrap over blocks of days.",
                partial(score_figures.r2_by_variable, _labels(cases), [case.scores for case in cases]),
            )
        ]
    return Section(
        "variables", "Variables", "How much of each target's variance is explained: 1 is perfect, 0 is what the mean "
        "of the truth would reach.", tuple(plates),
    )  # fmt: skip


def _zonal(cases: Sequence[Case]) -> Section:
    plates = (
        Plate(
            f"zonal-r2-{slug(case.label)}",
            f"R² by latitude and pressure: {case.label}",
            "Of all samples in a band of 10° of latitude at a level, weighted by area. Every level has the same "
            "height, as it has the same weight in the score. Hatched: the truth does not vary, R² is not defined.",
            partial(zonal.zonal_r2, case.scores, _profiles(case)),
            run=slug(case.label),
        )
        for case in _with(cases, "band_r2")
        if _profiles(case)
    )
    return Section(
        "zonal", "Latitude and pressure", "Where in the atmosphere an emulator is good: yellow is well explained, dark "
        "blue hardly, grey-brown is worse than the mean of the truth.", tuple(plates),
    )  # fmt: skip


def _levels(cases: Sequence[Case]) -> Section:
    plates = (
        Plate(
            f"levels-{slug(name)}",
            f"Scores by level: {title(name)} ({name})",
            "R² (crosses at the left edge: below 0), bias (prediction less truth) and root mean square error by level. "
            "Dashed grey: standard deviation of the truth, the error of always predicting the mean.",
            partial(profiles.level_scores, name, _labels(cases), [case.scores for case in cases]),
            variable=name,
        )
        for name in _profiles(cases[0])
    )
    return Section(
        "levels", "Levels", "Scores of a profile from the model's top down to the surface.", tuple(plates)
    )  # fmt: skip


def _maps(cases: Sequence[Case]) -> Section:
    shown = _with(cases, "column_r2")
    if not shown or any(not np.array_equal(case.scores["lat"], shown[0].scores["lat"]) for case in shown):
        return Section("maps", "Maps", "", ())
    grid = _once(lambda: raster(shown[0].scores["lat"].values, shown[0].scores["lon"].values))
    samples = shown[0].scores["column_samples"].values
    few = f" Fewer than {FEW_SAMPLES}: R² is noisy." if samples.min() < FEW_SAMPLES else ""
    plates = (
        Plate(
            f"map-{slug(name)}",
            f"Map: {title(name)} ({name})",
            "R² and bias over time at each column of the model's own grid, on an equal-area map; a column fills the "
            f"cell of points nearest to it. Hatched: not defined. Samples in time of a column: {_range(samples)}.{few} "
            + ("R² is the mean, the bias the sum over levels." if TABLE[name].levels > 1 else ""),
            partial(_map, name, shown, grid),
            variable=name,
        )
        for name in _names(shown[0])
    )
    return Section(
        "maps",
        "Maps",
        "Scores of each column over time. Black: where the land fraction passes one half.",
        tuple(plates),
    )


def _range(counts: np.ndarray) -> str:
    low, high = int(counts.min()), int(counts.max())
    return f"{low}" if low == high else f"{low} to {high}"


def _map(name: str, cases: Sequence[Case], grid: Callable[[], Raster]) -> "Figure":
    return maps.score_maps(name, _labels(cases), [case.scores for case in cases], grid(), cases[0].gallery.land)


def _once(make: Callable[[], Raster]) -> Callable[[], Raster]:
    """What ``make`` gives, made at the first call and kept."""
    kept: list[Raster] = []

    def get() -> Raster:
        if not kept:
            kept.append(make())
        return kept[0]

    return get


def _densities(cases: Sequence[Case]) -> Section:
    plates = (
        Plate(
            f"density-{slug(name)}",
            f"Truth and prediction: {title(name)} ({name})",
            "How many values of the sampled rows fall on each pair of truth and prediction; dashed: equal. The "
            "frame leaves out extremes; how many values lie outside is said below it."
            + (" All levels together, each in standard deviations of its truth." if TABLE[name].levels > 1 else ""),
            partial(_density, name, cases),
            variable=name,
        )
        for name in _names(cases[0])
    )
    count = len(cases[0].gallery.truth)
    return Section(
        "densities", "Truth against prediction", f"From {count:,} rows, drawn by a fixed rule: the same rows for every "
        "run.", tuple(plates),
    )  # fmt: skip


def _density(name: str, cases: Sequence[Case]) -> "Figure":
    levels = TABLE[name].levels
    pairs = []
    for case in cases:
        place = case.gallery.frame.variables.target_slices[name]
        truth, found = case.gallery.truth[:, place], case.gallery.prediction[:, place]
        factor, unit = display(name)
        if levels > 1:
            spread = case.scores["truth_std"].sel(variable=name).values
            middle = case.scores["truth_mean"].sel(variable=name).values
            varies = spread > 0
            truth, found = ((one[:, varies] - middle[varies]) / spread[varies] for one in (truth, found))
            factor, unit = 1.0, "std. dev. of the level"
        pairs.append((case.label, np.ravel(truth) * factor, np.ravel(found) * factor))
    return scatter.densities(name, unit, pairs)


def _training(cases: Sequence[Case]) -> Section:
    places = [place for place, case in enumerate(cases) if case.history]
    labels, histories = [cases[place].label for place in places], [cases[place].history for place in places]
    plates = []
    if places:
        plates = [
            Plate(
                "training",
                "Training",
                "Scores on the validation rows of the recipe and mean training loss, at the end of each sub-epoch. "
                "Where a score falls below -1, the axis goes on in logarithms. Losses of different settings cannot be "
                "compared.",
                partial(training.training_curves, labels, histories, places),
            )
        ]
    return Section("training", "Training", "How the runs came to what they are.", tuple(plates))


def _worst(cases: Sequence[Case]) -> Section:
    plates = [
        Plate(
            f"worst-{slug(case.label)}-{rank + 1}",
            f"{case.label}: {_ordinal(rank)} column",
            f"{_place(case, row)}. Error {row.error:.2f} standard deviations (root mean square over scored targets, "
            f"each at most {case.gallery.settings.cap:g}). Above: the state; below: tendencies.",
            partial(_opened, case, row, place),
            run=slug(case.label),
        )
        for rank in range(max((len(case.gallery.worst) for case in cases), default=0))
        for place, case in enumerate(cases)
        for row in case.gallery.worst[rank : rank + 1]
    ]
    intro = "The rows with the largest error of each run, opened up: what was the weather, and what was missed?"
    return Section("worst", "Worst columns", intro, tuple(plates))


def _ordinal(rank: int) -> str:
    return ("worst", "second worst", "third worst")[rank] if rank < 3 else f"{rank + 1}th worst"


def _opened(case: Case, row: OpenedRow, place: int) -> "Figure":
    frame = case.gallery.frame
    pressure = None
    if frame.grid is not None and "state_ps" in frame.variables.input_slices:
        pressure = midpoint_pressure(frame.grid, row.inputs[frame.variables.input_slices["state_ps"].start])
    return opened.opened_column(row, frame.variables, pressure, place)


def _place(case: Case, row: OpenedRow) -> str:
    """Row number, latitude and longitude, and date, as far as they are known."""
    words = [f"Row {row.row}"]
    grid = case.gallery.frame.grid
    if grid is not None and row.column >= 0:
        north, east = grid.lat[row.column], (grid.lon[row.column] + 180) % 360 - 180
        words.append(f"{abs(north):.0f}°{'N' if north >= 0 else 'S'} {abs(east):.0f}°{'E' if east >= 0 else 'W'}")
    if row.time >= 0:
        words.append(date(row.time))
    return ", ".join(words)


def date(time: int) -> str:
    """Year, month, day and time of day of seconds since 0001-01-01 in a calendar without leap years."""
    day, second = divmod(time, _DAY)
    year, day = divmod(day, _YEAR)
    ends = np.cumsum(_MONTHS)
    month = int(np.searchsorted(ends, day, side="right"))
    day -= int(ends[month - 1]) if month else 0
    return f"{year + 1:04d}-{month + 1:02d}-{day + 1:02d} {second // 3600:02d}:{second % 3600 // 60:02d}"


_PARTS: Iterable[Callable[[Sequence[Case]], Section]] = (
    *(_variables, _zonal, _levels, _maps, _densities),
    *(diagnostics.precipitation, diagnostics.checks, diagnostics.calibration, diagnostics.distributions),
    *(_training, _worst),
)


def plates(found: Sequence[Section]) -> Iterator[Plate]:
    """All plates in their order."""
    for section in found:
        yield from section.plates
