"""Commands that learn and judge: train, predict, score, run."""

import time
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Annotated, Any

import typer

from subgrid.cli import terminal

_SET = typer.Option("--set", metavar="KEY=VALUE", help="Replace one key of the recipe; may be repeated.")
_RECIPE = typer.Argument(help="A YAML recipe.")


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    for command in (train, predict, score, run):
        app.command()(command)


def train(
    recipe: Annotated[Path, _RECIPE],
    data: Annotated[Path, typer.Option(help="Folder of a data set.")],
    out: Annotated[Path, typer.Option(help="Folder of the run; one that exists goes on.")],
    set_: Annotated[list[str] | None, _SET] = None,
    init: Annotated[str | None, typer.Option(help="Start from the weights of another run, RUN or RUN@NAME.")] = None,
    time_limit: Annotated[
        str | None, typer.Option(metavar="TIME", help="Save and end before this much time, as in 1h30m; then exit 75.")
    ] = None,
) -> None:
    """Train a network on a data set. The same command again goes on where it was stopped.

    torchrun and srun start it in several processes, which share every batch.

    Example: subgrid train recipes/quickstart.yaml --data data --out run --set training.rows=200000
    """
    deadline = time.monotonic() + terminal.seconds_of(time_limit) if time_limit else None
    from subgrid.recipe import load_recipe
    from subgrid.records.reader import Dataset

    settings = load_recipe(recipe, set_ or [])
    dataset = Dataset.open(data)
    from subgrid.training.loop import train as train_run

    with terminal.TrainingDisplay() as display:
        summary = train_run(settings, dataset, out, init, display, deadline)
    if not terminal.speaks():
        return  # the first of several processes tells, and its exit code is the run's
    print(f"{out}: {summary.rows:,} rows in {terminal.duration(summary.seconds)}, checkpoint {summary.latest}")
    if summary.scores:
        print(_figures(summary.scores))
    if not summary.complete:
        terminal.say(f"{out}: not finished: the time limit of {time_limit} has come; the same command goes on")
        raise typer.Exit(terminal.GO_ON)


def predict(
    run: Annotated[str, typer.Argument(help="A run (its latest checkpoint), RUN@best or RUN@NAME.")],
    input: Annotated[str, typer.Argument(help="A data set or a folder of raw steps.")],
    out: Annotated[Path, typer.Argument(help="Folder of the prediction.")],
    split: Annotated[str | None, typer.Option(help="Of a data set: training or validation. Default: all rows.")] = None,
    check: Annotated[Path | None, typer.Option(help="Compare with this prediction; fails where they differ.")] = None,
    batch: Annotated[int, typer.Option(help="Rows predicted at once.", min=1)] = 512,
) -> None:
    """Predict the targets of all columns of a data set or of raw steps, in physical units.

    Example: subgrid predict run@best data prediction --split validation
    """
    from subgrid.errors import SettingsError
    from subgrid.prediction.columns import open_columns
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
    with terminal.progress("predict") as report:
        found = predict_columns(emulator, info, columns, out, batch=batch, progress=report)
    print(f"{out}: {found.rows:,} rows predicted by {found.run}@{found.checkpoint}")
    if check is not None:
        difference = largest_difference(out, check, info)
        print(f"largest difference from {check}: {difference:.3g} standard deviations")
        if difference > _SAME:
            terminal.say(f"error: expected at most {_SAME:g} standard deviations between {out} and {check}")
            raise typer.Exit(1)


_SAME = 1e-3  # a network in float32 whose sums are ordered otherwise stays well below


def score(
    prediction: Annotated[Path, typer.Argument(help="Folder of a prediction.")],
    truth: Annotated[str, typer.Argument(help="A data set or a folder of raw steps; may hold more rows.")],
    json: Annotated[bool, typer.Option("--json", help="One JSON object on standard output.")] = False,
    no_rule: Annotated[bool, typer.Option("--no-rule", help="Leave out the cloud-water rule.")] = False,
) -> None:
    """Score a prediction: the competition's figure, r2_308, r2_294, and tables by variable.

    Example: subgrid score prediction data --json
    """
    from subgrid.prediction.score import score as score_prediction

    with terminal.progress("score") as report:
        scored = score_prediction(prediction, truth, not no_rule, report)
    if scored.without_truth:
        terminal.say(f"{scored.without_truth:,} predicted rows belong to steps without an mlo file: left out")
    content = scored.card.to_json()
    if json:
        terminal.as_json(content)
        return
    print(_figures(content))
    print(_remarks(content))
    print(_by_variable(content["by_variable"]))


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
    print(f"{split} split:  {_figures(outcome.score)}")
    if split != settings.prediction.split:
        terminal.say(f"the data have no {settings.prediction.split} split: scored on rows that were learnt")
    print(_remarks(outcome.score))
    for name in ("data", "run", "prediction", "score.json"):
        print(f"{out / name}")
    if outcome.learnt is False:
        terminal.say(
            f"error: r2_294 = {outcome.score['r2_294']:.3f} is not clearly above climatology's "
            f"{outcome.climatology['r2_294']:.3f}; the network learnt next to nothing: train longer (training.rows)"
        )
        raise typer.Exit(1)


def _figures(content: Any) -> str:
    words = [f"{name} {'-' if content[name] is None else format(content[name], '.4f')}"
             for name in ("competition", "r2_308", "r2_294")]  # fmt: skip
    return "   ".join(words)


def _remarks(content: dict[str, Any]) -> str:
    below, undefined = content["below_zero"], content["undefined"]
    lines = [f"{content['rows']:,} rows"]
    if content["r2_294"] is not None:
        lines[0] += f"; {below['count']} of the columns of r2_294 are below 0 and count as 0"
    worst = list(below["columns"].items())[:5]
    lines += [f"  {name} {value:.3g}" for name, value in worst]
    if below["count"] > len(worst):
        lines.append(f"  ... and {below['count'] - len(worst)} more (see --json)")
    if undefined:
        lines.append(f"without variance in the truth, left out: {', '.join(undefined)}")
    return "\n".join(lines)


def _by_variable(table: dict[str, dict[str, Any]]) -> str:
    keys = ("r2", "mae", "rmse", "bias")
    lines = [f"{'variable':16}" + "".join(f"{key:>12}" for key in keys) + "   unit"]
    for name, row in table.items():
        cells = "".join(f"{'-' if row[key] is None else format(row[key], '.4g'):>12}" for key in keys)
        lines.append(f"{name:16}{cells}   {row.get('unit', '')}")
    return "\n".join(lines)
