"""The page: everything that was found as one HTML file that needs nothing else."""

from collections.abc import Iterator, Mapping, Sequence
from importlib.resources import files
from typing import Any

import numpy as np

from subgrid import __version__
from subgrid.errors import SettingsError
from subgrid.evaluation.intervals import FEW_BLOCKS
from subgrid.evaluation.places import FEW_SAMPLES
from subgrid.evaluation.scorecard import FIGURES
from subgrid.prediction.members import Member
from subgrid.prediction.score import compare
from subgrid.report.cases import Case
from subgrid.report.figures.style import SERIES, short, title
from subgrid.report.plates import DrawnPlate, Section
from subgrid.report.subjects import slug
from subgrid.schema.variables import TABLE
from subgrid.source.urls import shown

_MEANINGS = {
    "r2_294": "mean of max(R², 0) over 294 columns, without the cloud-water rule: compare networks by this",
    "r2_308": "mean R² over the 308 scored columns, with the cloud-water rule",
    "competition": "the figure of the LEAP leaderboard",
}


def render(heading: str, cases: Sequence[Case], sections: Sequence[Section], drawn: Mapping[str, DrawnPlate]) -> str:
    """The page's HTML.

    Args:
        heading: its title.
        cases: in the order of the page.
        sections: with the plates that were drawn.
        drawn: by the plates' names.
    """
    from jinja2 import Environment, PackageLoader, StrictUndefined
    from markupsafe import Markup

    environment = Environment(
        loader=PackageLoader("subgrid.report"), autoescape=True, undefined=StrictUndefined, trim_blocks=True,
        lstrip_blocks=True,
    )  # fmt: skip
    environment.filters["number"] = number
    templates = files("subgrid.report") / "templates"
    shown = [
        (section, [(drawn[plate.name], Markup(drawn[plate.name].svg)) for plate in section.plates])
        for section in sections
    ]
    return environment.get_template("page.html").render(
        heading=heading,
        style=Markup((templates / "page.css").read_text(encoding="utf-8")),
        script=Markup((templates / "page.js").read_text(encoding="utf-8")),
        runs=[
            {"label": case.label, "slug": slug(case.label), "colour": place % len(SERIES)}
            for place, case in enumerate(cases)
        ],
        variables=[(name, title(name)) for name in _variables(cases[0])],
        meanings=_MEANINGS,
        headline=[headline(case) for case in cases],
        notes=notes(cases),
        differences=differences(cases),
        by_variable=by_variable(cases),
        sections=shown,
        rows=[row for case in cases for row in level_rows(case)],
        origins=[origin(case) for case in cases],
        version=__version__,
    )


def number(value: float | None, digits: int = 3) -> str:
    """A number for reading: ``-`` for what is not defined, a true minus sign is left to the letters."""
    if value is None or not np.isfinite(value):
        return "–"
    size = abs(value)
    if size >= 1e5 or 0 < size < 1e-3:
        return f"{value:.{digits - 1}e}"
    return f"{value:.{digits if size < 10 else 1 if size < 1000 else 0}f}"


def _variables(case: Case) -> list[str]:
    return [str(name) for name in case.scores["variable"].values]


def headline(case: Case) -> dict[str, Any]:
    """The three figures of a case with their intervals, and how many rows they are from."""
    found = {}
    if "figure_value" in case.scores:
        for name in (str(name) for name in case.scores["figure"].values):
            low, high = case.scores["figure_interval"].sel(figure=name).values
            found[name] = (float(case.scores["figure_value"].sel(figure=name)), float(low), float(high))
    return {
        "label": case.label,
        "figures": [(name, found.get(name)) for name in sorted(FIGURES, key=list(_MEANINGS).index)],
        "rows": case.scored.rows,
        "below": len(case.scored.card.below_zero()),
    }


def notes(cases: Sequence[Case]) -> list[str]:
    """What a reader must know before believing the numbers, in sentences."""
    found = []
    first = cases[0].scores.attrs
    if first["blocks"] < 2:
        found.append("There are no intervals: the rows lie in one block of days, or their time is unknown.")
    elif first["intervals_weak"]:
        found.append(
            f"Intervals are weak: {first['blocks']} blocks of {first['block_days']} days are drawn from, {FEW_BLOCKS} "
            "or more would be needed."
        )
    if not first["rule"]:
        found.append("Without the cloud-water rule: r2_308 and the competition's figure are the network's own.")
    if len({case.scored.manifest.input_digest for case in cases}) > 1:
        found.append("The predictions are of different rows: their scores must not be compared.")
    left_out = dict.fromkeys(", ".join(case.scored.card.undefined()) for case in cases)
    found += [f"Left out, as the truth does not vary there: {names}." for names in left_out if names]
    for case in cases:
        if case.scored.without_truth:
            found.append(f"{case.label}: {case.scored.without_truth:,} predicted rows have no truth and are left out.")
        if case.scored.no_members:
            found.append(f"{case.label}: not scored as a distribution: {case.scored.no_members}.")
        if case.subject.split == "training":
            found.append(f"{case.label}: scored on rows that were learnt.")
    return list(dict.fromkeys(found))


def differences(cases: Sequence[Case]) -> list[dict[str, Any]]:
    """By how much each further case is better than the first, with intervals; nothing where rows differ."""
    found = []
    for case in cases[1:]:
        try:
            table = compare(case.scored, cases[0].scored)["differences"]
        except SettingsError:
            continue  # other rows: the notes say so
        chosen = [(name, table[name]) for name in _MEANINGS if name in table]
        found.append({"label": case.label, "against": cases[0].label, "figures": chosen})
    return found


def by_variable(cases: Sequence[Case]) -> list[dict[str, Any]]:
    """Rows of all cases, those of a variable together."""
    rows = zip(*(_variable_rows(case) for case in cases), strict=True)
    return [row for together in rows for row in together]


def _variable_rows(case: Case) -> Iterator[dict[str, Any]]:
    """A row a variable: mean of max(R2, 0) with its interval, and ClimSim's scores in W/m2."""
    scores = case.scores
    few = "column_samples" in scores and bool((scores["column_samples"] < FEW_SAMPLES).any())
    for name in _variables(case):
        interval = scores["variable_r2_interval"].sel(variable=name).values if "variable_r2" in scores else (None, None)
        row: dict[str, Any] = {
            "label": case.label,
            "name": name,
            "title": short(name),
            "r2": float(scores["variable_r2"].sel(variable=name)) if "variable_r2" in scores else None,
            "interval": [None if one is None else float(one) for one in interval],
            "few": few,
        }
        for key in ("r2", "pooled_r2", "mae", "rmse", "bias"):
            field = f"climsim_{key}"
            row[f"climsim_{key}"] = _mean(scores[field].sel(variable=name).values) if field in scores else None
        yield row


def _mean(values: np.ndarray) -> float | None:
    defined = values[np.isfinite(values)]
    return float(defined.mean()) if defined.size else None


def level_rows(case: Case) -> Iterator[tuple[str, str, int | str, str, list[float], str]]:
    """A row a target column: run, variable, level, pressure in hPa, [R2, MAE, RMSE, bias, std. dev.], unit."""
    scores = case.scores
    pressure = scores["level_pressure"].values / 100 if "level_pressure" in scores else None
    for name in _variables(case):
        table = np.stack([scores[key].sel(variable=name).values for key in ("r2", "mae", "rmse", "bias", "truth_std")])
        item = TABLE[name]
        for level in range(item.levels):
            profile = item.levels > 1
            height = f"{pressure[level]:.4g}" if profile and pressure is not None else ""
            yield case.label, name, level if profile else "", height, table[:, level].tolist(), item.unit


def origin(case: Case) -> dict[str, Any]:
    """What was run, as pairs of words, and the recipe as YAML."""
    import yaml

    manifest, card = case.scored.manifest, case.card
    pairs = [
        ("prediction", str(case.subject.prediction)),
        ("run", manifest.run),
        ("checkpoint", f"{manifest.checkpoint} {manifest.checkpoint_digest[:16]}".strip()),
        ("predicted from", manifest.input),
        ("truth", f"{shown(case.subject.truth)} {f'({case.subject.split})' if case.subject.split else ''}".strip()),
        ("rows", f"{case.scored.rows:,}"),
        ("members", "; ".join(_member(member) for member in manifest.members)),
        ("predicted by", manifest.program),
    ]
    if card is not None:
        pairs += [
            ("data digest", card["data_digest"]),
            ("parameters", f"{card['parameters']:,}"),
            ("rows learnt", f"{card['rows']:,}"),
            ("versions", ", ".join(f"{key} {value}" for key, value in card["versions"].items())),
            ("conditions", ", ".join(f"{key} {value}" for key, value in card["conditions"].items())),
        ]
    recipe = yaml.safe_dump(card["recipe"], sort_keys=False, allow_unicode=True) if card is not None else ""
    return {"label": case.label, "pairs": [(key, value) for key, value in pairs if value], "recipe": recipe}


def _member(member: Member) -> str:
    """A network of an ensemble with its share of the mean, of the smallest and largest where it differs by target."""
    shares = member.weights.values()
    low, high = min(shares), max(shares)
    share = f"{low:.3f}" if high - low < 5e-4 else f"{low:.3f} to {high:.3f}"
    return f"{member.run}@{member.checkpoint} ({share})"
