"""The whole chain from one recipe: raw steps -> data set -> trained network -> prediction -> scores.

Every stage is what the command of that stage does, and each goes on where it was stopped:

    OUT/source      raw steps, only where the recipe makes them up
    OUT/data        the data set
    OUT/run         the training run
    OUT/prediction  of the split that is scored
    OUT/score.json  its scores
"""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from subgrid.errors import DatasetError, SettingsError
from subgrid.evaluation.evaluation import Evaluation
from subgrid.evaluation.scorecard import Scorecard
from subgrid.prediction.columns import DatasetColumns
from subgrid.prediction.predict import predict
from subgrid.prediction.score import ScoreSettings, climatology, score
from subgrid.recipe import Recipe
from subgrid.records.blueprint import BuildSettings
from subgrid.records.build import Running, build, prepare
from subgrid.records.draws import Draw
from subgrid.records.files import write_json
from subgrid.records.plan import Wanted
from subgrid.records.reader import Dataset
from subgrid.source.locations import Location
from subgrid.source.steps import Choice
from subgrid.training.checkpoint import load_emulator
from subgrid.training.loop import train
from subgrid.training.progress import Reporter

SYNTHETIC = "synthetic"
_MARKS = {
    "dataset.json": "a data set",
    "build.json": "a build under way",
    "checkpoints": "a run",
    "prediction.json": "a prediction",
    "synthetic.json": "raw steps",
}
CLEARLY = 0.05
"""How far above climatology's r2_294 a trained score must be to count as learnt."""


@dataclass(frozen=True)
class Watcher:
    """Who is told: ``progress(what, unit)`` opens a display, ``reporter`` follows the training."""

    progress: Callable[[str, str], AbstractContextManager[Callable[[int, int], None]]]
    reporter: Reporter


@dataclass(frozen=True)
class Outcome:
    """What the chain ends with.

    Attributes:
        score: content of score.json.
        climatology: the three figures of predicting the training mean everywhere.
        learnt: whether the network is clearly above it; None where r2_294 is not defined for the variable set.
    """

    score: dict[str, Any]
    climatology: dict[str, float | None]
    learnt: bool | None


def run(recipe: Recipe, watcher: Watcher) -> Outcome:
    """Carry a recipe through; raises what the stages raise."""
    out = Path(recipe.out)
    _refuse_foreign(out)
    if len(recipe.training.data) > 1:
        raise SettingsError(
            f"training.data lists {len(recipe.training.data)} data sets, and subgrid run makes one; build each, then: "
            "subgrid train RECIPE --data FIRST --data SECOND --out RUN"
        )
    source = _source(recipe, out, watcher)
    dataset = _dataset(recipe, source, out / "data", watcher)
    train(recipe, dataset, out / "run", reporter=watcher.reporter)
    split = recipe.prediction.split if recipe.prediction.split in dataset.splits else "training"
    emulator, info = load_emulator(f"{out / 'run'}@{recipe.prediction.checkpoint}")
    columns = DatasetColumns(dataset, split)
    with watcher.progress("predict", "columns") as report:
        predict(emulator, info, columns, out / "prediction", batch=recipe.prediction.batch, progress=report)
    with watcher.progress("score", "columns") as report:
        scored = score(out / "prediction", str(out / "data"), ScoreSettings(split=split), report)
    return _outcome(scored.evaluation, climatology(columns, info.table), split, out)


def _refuse_foreign(out: Path) -> None:
    """Raise DatasetError where ``out`` is a file, or is itself what one of the stages writes."""
    if out.exists() and not out.is_dir():
        raise DatasetError(f"{out}: expected a folder for the whole chain, found a file; choose another out")
    for mark, what in _MARKS.items():
        if (out / mark).exists():
            raise DatasetError(
                f"{out}: expected a new folder, or one that this command wrote, found {what}; choose another out"
            )


def _source(recipe: Recipe, out: Path, watcher: Watcher) -> Location:
    if recipe.source.location != SYNTHETIC:
        return Location(recipe.source.location)
    from subgrid.source.synthetic import write_climate

    with watcher.progress("sample", "steps") as report:
        write_climate(out / "source", recipe.source.synthetic, report)
    return Location(str(out / "source"))


def _dataset(recipe: Recipe, source: Location, out: Path, watcher: Watcher) -> Dataset:
    wanted, records = recipe.source, recipe.records
    draw = Draw.parse(wanted.draw) if wanted.draw else None
    span = records.span or (draw.steps if draw else 0)
    settings = BuildSettings(records.variables, records.float64, records.shard_bytes, recipe.seed, span)
    ready = prepare(
        source,
        settings,
        Wanted(Choice(wanted.start, wanted.end, wanted.stride), draw),
        validation=wanted.validation,
        grid=Path(wanted.grid) if wanted.grid else None,
        plan=Path(wanted.plan) if wanted.plan else None,
    )
    with watcher.progress("build", "columns") as report:
        build(ready, out, Running(workers=records.workers, progress=report))
    return Dataset.open(out)


def _outcome(evaluation: Evaluation, baseline: Scorecard, split: str, out: Path) -> Outcome:
    figures, reference = evaluation.card.headline(), baseline.headline()
    found, ground = figures["r2_294"], reference["r2_294"]
    learnt = None if found is None or ground is None else found > ground + CLEARLY
    content = {**evaluation.to_json(), "split": split, "climatology": reference}
    write_json(out / "score.json", content)
    return Outcome(content, reference, learnt)
