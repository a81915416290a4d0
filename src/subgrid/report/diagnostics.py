"""Sections on what the score does not ask: physical checks, calibration, ensembles as distributions."""

from collections.abc import Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING

from subgrid.report.cases import Case
from subgrid.report.figures import budgets, confidence, ensembles
from subgrid.report.figures import precipitation as rain
from subgrid.report.figures.style import title
from subgrid.report.plates import NumberTable, Plate, Section
from subgrid.report.subjects import slug
from subgrid.schema.variables import TABLE

if TYPE_CHECKING:
    from xarray import Dataset

_RATES = {"cam_out_PRECC": "rain and snow", "cam_out_PRECSC": "snow"}
_WATERS = {"q0001": "humidity", "q0002": "cloud liquid", "q0003": "cloud ice"}


class Chosen:
    """The cases that have a field, with what figures of several runs need of them."""

    def __init__(self, cases: Sequence[Case], field: str) -> None:
        self.places = [place for place, case in enumerate(cases) if field in case.scores]
        self.cases = [cases[place] for place in self.places]
        self.labels = [case.label for case in self.cases]
        self.scores = [case.scores for case in self.cases]


def precipitation(cases: Sequence[Case]) -> Section:
    """How often it rains how hard."""
    found = Chosen(cases, "precipitation_exceedance")
    if not found.cases:
        return Section("precipitation", "Precipitation", "")
    plate = Plate(
        "precipitation",
        "Precipitation",
        "Left: share of the area (and time) with at least a rate. Right: quantiles of the prediction against those of "
        "the truth; on the dashed line both are the same. Rates are those of a model column over one step.",
        partial(rain.precipitation, found.labels, found.scores, found.places),
    )
    head = ("Precipitation", "Of", "Mean, mm/day", "Highest", "Dry, %", "Below 0, %", "99.9 % quantile")
    intro = "An emulator trained on errors tends to drizzle: too few dry columns, too weak extremes."
    return Section("precipitation", "Precipitation", intro, (plate,), (NumberTable("", head, tuple(_rates(found))),))


def _rates(found: Chosen) -> Iterator[tuple[str | float, ...]]:
    for name in (str(name) for name in found.scores[0]["precipitation"].values):
        for label, one, source in _with_truth(found):
            here = one.sel(precipitation=name, source=source)
            quantile = here["precipitation_quantile"].sel(quantile=0.999, method="nearest")
            numbers = (here["precipitation_mean"], here["precipitation_highest"], 100 * here["precipitation_dry"],
                       100 * here["precipitation_negative"], quantile)  # fmt: skip
            yield _RATES.get(name, name), label, *(float(value) for value in numbers)


def _with_truth(found: Chosen) -> Iterator[tuple[str, "Dataset", str]]:
    """Label, scores and source: the truth once, then each run's prediction."""
    yield "truth", found.scores[0], "truth"
    for label, one in zip(found.labels, found.scores, strict=True):
        yield label, one, "prediction"


def checks(cases: Sequence[Case]) -> Section:
    """Budgets of water and enthalpy, negative water."""
    budget, water = Chosen(cases, "budget_histogram"), Chosen(cases, "negative_share_by_level")
    plates, tables = [], []
    if budget.cases:
        plates.append(
            Plate(
                "budgets",
                "Residuals of water and enthalpy",
                "What a column gains in a step less the fluxes into it that ClimSim holds, truth beside prediction. "
                "The truth is not zero: outgoing radiation at the top is not in the data, and the surface's turbulent "
                "fluxes act in another part of the model. A good emulator has the truth's distribution.",
                partial(budgets.residuals, budget.labels, budget.scores, budget.places),
            )
        )
        head = ("Budget", "Of", "Mean residual, W/m²", "Rms, W/m²", "Rms of the difference from the truth")
        tables.append(NumberTable("Residuals", head, tuple(_residuals(budget))))
    if water.cases:
        plates.append(
            Plate(
                "negative-water",
                "Negative water",
                "Share of columns in which one step of 20 minutes with these tendencies leaves less than no water at a "
                "level. The network's own tendencies, without the cloud-water rule.",
                partial(budgets.negative_water, water.labels, water.scores, water.places),
            )
        )
        head = ("Water", "Of", "Cells below 0, %", "Columns with such a cell, %", "Missing water, kg/m²")
        tables.append(NumberTable("Negative water", head, tuple(_waters(water))))
    intro = "Laws that the scores do not ask for: does an emulator create or destroy water and energy?"
    return Section("physics", "Physical checks", intro, tuple(plates), tuple(tables))


def _residuals(found: Chosen) -> Iterator[tuple[str | float, ...]]:
    for name in (str(name) for name in found.scores[0]["budget"].values):
        for label, one, source in _with_truth(found):
            here = one.sel(budget=name)
            error = float(here["budget_error_rms"]) if source == "prediction" else ""
            mean, rms = (float(here[field].sel(source=source)) for field in ("budget_mean", "budget_rms"))
            yield budgets.BUDGETS.get(name, name), label, mean, rms, error


def _waters(found: Chosen) -> Iterator[tuple[str | float, ...]]:
    for name in (str(name) for name in found.scores[0]["water"].values):
        for label, one, source in _with_truth(found):
            here = one.sel(water=name, source=source)
            mass = float(here["negative_mass"]) if "negative_mass" in here else ""
            share, columns = (100 * float(here[field]) for field in ("negative_share", "negative_columns"))
            yield _WATERS.get(name, name), label, share, columns, mass


def calibration(cases: Sequence[Case]) -> Section:
    """The confidence head."""
    found = Chosen(cases, "confidence_found")
    plates = []
    if found.cases:
        plates = [
            Plate(
                "reliability",
                "Expected and found errors",
                "Outputs are binned by the error that the network expects of them; points: mean error found in a bin. "
                "On the dashed line it errs as much as it says; above it is too sure. Below: how often it says so.",
                partial(confidence.reliability, found.labels, found.scores, found.places),
            ),
            Plate(
                "kept",
                "Scores of the rows kept",
                "Rows are dropped from the largest mean expected error on. If the error does not fall from left to "
                "right, the network does not know which rows are hard. R² is against the variance of the rows kept, so "
                "it may fall where calm rows are kept.",
                partial(confidence.score_kept, found.labels, found.scores, found.places),
            ),
        ]
    intro = "A second head of the network estimates the absolute error of each output. Can it be believed?"
    return Section("confidence", "Confidence", intro, tuple(plates))


def distributions(cases: Sequence[Case]) -> Section:
    """Ensembles: CRPS, spread and skill, rank histograms."""
    found = Chosen(cases, "rank_count")
    names = [str(name) for name in found.scores[0]["variable"].values] if found.cases else []
    plates = [
        Plate(
            f"spread-{slug(name)}",
            f"Spread and skill: {title(name)} ({name})",
            "Left: continuous ranked probability score of the members, smaller is better. Right: spread of the members "
            "over the error of their mean; 1 is reliable, below 1 the members agree more than they are right.",
            partial(ensembles.spread_skill, name, found.labels, found.scores, found.places),
            variable=name,
        )
        for name in names
        if TABLE[name].levels > 1
    ]
    plates += [
        Plate(
            f"ranks-{slug(case.label)}",
            f"Rank histograms: {case.label}",
            "How many members lie below the truth, over all scored levels. Flat, at the line, is reliable; a hollow "
            "middle says that the truth often lies outside of the members.",
            partial(ensembles.rank_histograms, case.scores, place),
            run=slug(case.label),
        )
        for place, case in zip(found.places, found.cases, strict=True)
    ]
    intro = "The members of an ensemble, taken as a distribution: is their spread as large as their error?"
    return Section("ensembles", "Ensembles", intro, tuple(plates))
