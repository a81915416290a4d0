"""Commands that learn: train, predict, run."""

import time
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Annotated, Any

import typer

from subgrid.cli import score_text, terminal

_SET = typer.Option("--set", metavar="KEY=VALUE", help="Replace one key of the recipe; may be repeated.")
_RECIPE = typer.Argument(help="A YAML recipe.")


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    for command in (train, predict, run):
        app.command()(command)


def train(
    recipe: Annotated[Path, _RECIPE],
    data: Annotated[
        list[str],
        typer.Option(help="A data set: folder, URL or pointer; once for each that the recipe lists, in its order."),
    ],
    out: Annotated[Path | None, typer.Option(help="Folder of the run; one that exists goes on.")] = None,
    set_: Annotated[list[str] | None, _SET] = None,
    init: Annotated[str | None, typer.Option(help="Start from the weights of another run, RUN or RUN@NAME.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be done, and do nothing.")] = False,
    json: Annotated[bool, typer.Option("--json", help="With --dry-run: one JSON object on standard output.")] = False,
    time_limit: Annotated[
        str | None, typer.Option(metavar="TIME", help="Save and end before this much time, as in 1h30m; then exit 75.")
    ] = None,
) -> None:
    """Train a network on a data set. The same command again goes on where it was stopped.

    torchrun and srun start it in several processes, which share every batch.

    Example: subgrid train recipes/quickstart.yaml --data data --out run --set training.rows=200000
    """
    with terminal.usage():
        deadline = time.monotonic() + terminal.seconds_of(time_limit) if time_limit else None
    from subgrid.recipe import load_recipe
    from subgrid.records.reader import Dataset

    if out is None and not dry_run:
        raise typer.BadParameter("a run needs a folder (or --dry-run)", param_hint="--out")
    if json and not dry_run:
        raise typer.BadParameter("goes with --dry-run; a run notes its figures in metrics.jsonl", param_hint="--json")
    settings = load_recipe(recipe, set_ or [])
    datasets = [Dataset.open(path) for path in data]
    if dry_run:
        _planned(settings, datasets, json)
    if out is None or dry_run:
        return
    from subgrid.training.loop import train as train_run

    with terminal.TrainingDisplay() as display:
        summary = train_run(settings, datasets, out, init, display, deadline)
    if not terminal.speaks():
        return  # the first of several processes tells, and its exit code is the run's
    print(f"{out}: {summary.rows:,} rows in {terminal.duration(summary.seconds)}, checkpoint {summary.latest}")
    for line in score_text.sets(summary.validation):
        print(line)
    if not summary.complete:
        terminal.say(f"{out}: not finished: the time limit of {time_limit} has come; the same command goes on")
        raise typer.Exit(terminal.GO_ON)


def _planned(settings: Any, datasets: list[Any], json: bool) -> None:
    """Print the plan of a run."""
    from subgrid.training.plan import plan
    from subgrid.training.sources import Sources

    found = plan(settings, Sources.of(settings.training, datasets))
    if json:
        terminal.as_json(found)
    else:
        print(_plan_text(found))


def _plan_text(found: dict[str, Any]) -> str:
    course, memory = found["schedule"], found["memory"]
    lines = [
        ("network", f"{found['model']}, {found['parameters']:,} parameters"),
        *((("", f"makes no use of {', '.join(found['unused'])}"),) if found["unused"] else ()),
        (
            "length",
            f"{found['rows']:,} rows = {found['epochs']:.4g} epochs of {found['rows_per_epoch']:,} rows "
            f"({found['steps_per_epoch']:,.1f} steps)",
        ),
        ("steps", f"{found['steps']:,} of {found['batch']:,} rows in {course['sub_epochs']} sub-epochs"),
    ]
    for item in found["data"]:
        text = f"{item['taken']:,} of {item['rows']:,} training rows, {item['passes']:.3g} times, from {item['path']}"
        text += ", never repeated" if item["once"] else ""
        text += f", targets clipped at {item['clip']:g} x min and max" if item["clip"] else ""
        lines.append((f"data {item['name']}", text))
    for item in found["validation"]:
        skipped = f" after {item['skip']:,}" if item["skip"] else ""
        lines.append((f"scored {item['name']}", f"{item['rows']:,} {item['split']} rows{skipped} of {item['path']}"))
    rate, read = course["learning_rate"], found["bytes_read"]
    parts = ", ".join(f"{name} {terminal.size(size)}" for name, size in memory.items() if name != "total" and size)
    lines += [
        ("read", f"{terminal.size(read['training'])}, and {terminal.size(read['validation'])} to be scored"),
        (
            "learning rate",
            f"{rate['start']:.3g} at the start, {rate['peak']:.3g} at most, {rate['end']:.3g} at the end "
            f"(a value a {course['name'].replace('_', '-')}), weight decay {course['decay_ratio']:g} x as much",
        ),
        ("checkpoints", ", ".join(["latest", "best", *map(str, found["kept"])])),
        ("memory", f"about {terminal.size(memory['total'])} beside the program: {parts}"),
    ]
    return "\n".join(f"{name:20} {text}" for name, text in lines)


def predict(
    run: Annotated[str, typer.Argument(help="A run (its latest checkpoint), RUN@best or RUN@NAME.")],
    input: Annotated[str, typer.Argument(help="A data set, a folder of raw steps, or Kaggle's test.csv or .parquet.")],
    out: Annotated[Path, typer.Argument(help="Folder of the prediction.")],
    split: Annotated[str | None, typer.Option(help="Of a data set: training or validation. Default: all rows.")] = None,
    check: Annotated[Path | None, typer.Option(help="Compare with this prediction; fails where they differ.")] = None,
    batch: Annotated[int, typer.Option(help="Rows predicted at once.", min=1)] = 512,
) -> None:
    """Predict the targets of all columns of a data set, of raw steps or of a table, in physical units.

    Example: subgrid predict run@best data prediction --split validation
    """
    from subgrid.errors import SettingsError
    from subgrid.prediction.columns import KaggleColumns, open_columns
    from subgrid.prediction.predict import largest_difference
    from subgrid.prediction.predict import predict as predict_columns
    from subgrid.prediction.store import read_prediction_manifest
    from subgrid.training.checkpoint import load_emulator

    if check is not None:
        if check.resolve() == out.resolve():
            raise SettingsError(f"--check {check}: is OUT itself; name another prediction")
        read_prediction_manifest(check)  # before anything is computed
    emulator, info = load_emulator(run)
    columns = open_columns(input, info.variables, split)
    if isinstance(columns, KaggleColumns):
        with terminal.progress("count", "bytes") as report:
            columns.survey(report)
    with terminal.progress("predict") as report:
        found = predict_columns(emulator, info, columns, out, batch=batch, progress=report)
    print(f"{out}: {found.rows:,} rows predicted by {found.run}@{found.checkpoint}")
    if check is not None:
        difference = largest_difference(out, check, info)
        print(f"largest difference from {check}: {difference:.3g} standard deviations")
        if difference > _SAME:
            terminal.fail(f"expected at most {_SAME:g} standard deviations between {out} and {check}")
            raise typer.Exit(1)


_SAME = 1e-3  # a network in float32 whose sums are ordered otherwise stays well below


def run(recipe: Annotated[Path, _RECIPE], set_: Annotated[list[str] | None, _SET] = None) -> None:
    """The whole chain of a recipe: build, train, predict, score. The same command again goes on.

    Example: subgrid run recipes/quickstart.yaml --set source.location=ClimSim_low-res --set out=climsim
    """
    from subgrid.recipe import load_recipe

    terminal.refuse_several("run")
    settings = load_recipe(recipe, set_ or [])
    from subgrid import chain

    with terminal.TrainingDisplay() as display:

        def progress(what: str, unit: str) -> AbstractContextManager[terminal.Report]:
            display.close()
            return terminal.progress(what, unit)

        outcome = chain.run(settings, chain.Watcher(progress, display))
    out = Path(settings.out)
    split = outcome.score["split"]
    print(f"{split} split:  {score_text.figures(outcome.score)}")
    if split != settings.prediction.split:
        terminal.say(f"the data have no {settings.prediction.split} split: scored on rows that were learnt")
    print(score_text.remarks(outcome.score))
    for name in ("data", "run", "prediction", "score.json"):
        print(f"{out / name}")
    if outcome.learnt is False:
        terminal.fail(
            f"r2_294 = {outcome.score['r2_294']:.3f} is not clearly above climatology's "
            f"{outcome.climatology['r2_294']:.3f}; the network learnt next to nothing: train longer (training.rows)"
        )
        raise typer.Exit(1)
