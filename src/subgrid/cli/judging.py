"""Commands that judge: score, report."""

from pathlib import Path
from typing import Annotated

import typer

from subgrid.cli import score_text, terminal


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    for command in (score, report):
        app.command()(command)


def score(
    prediction: Annotated[Path, typer.Argument(help="Folder of a prediction.")],
    truth: Annotated[str, typer.Argument(help="A data set or a folder of raw steps; may hold more rows.")],
    json: Annotated[bool, typer.Option("--json", help="One JSON object on standard output.")] = False,
    no_rule: Annotated[bool, typer.Option("--no-rule", help="Leave out the cloud-water rule.")] = False,
    against: Annotated[Path | None, typer.Option(help="Another prediction of the same rows: by how much is this one "
                                                      "better?")] = None,
    out: Annotated[list[Path] | None, typer.Option(help="Save all scores, as NetCDF (.nc) or JSON (.json); may be "
                                                        "repeated.")] = None,
    block_days: Annotated[int, typer.Option(help="Days of a block that is drawn for intervals.", min=1)] = 5,
) -> None:  # fmt: skip
    """Score a prediction: the competition's figures with intervals, and ClimSim's in W/m2.

    Example: subgrid score prediction data --against other --out scores.nc
    """
    from subgrid.prediction import score as scoring

    for path in out or []:
        scoring.refuse_other_file(path)
    settings = scoring.ScoreSettings(rule=not no_rule, block_days=block_days)
    with terminal.progress("score") as report:
        scored = scoring.score(prediction, truth, settings, report)
    content = scored.evaluation.to_json()
    if against is not None:
        with terminal.progress("score") as report:
            other = scoring.score(against, truth, settings, report)
        content["against"] = scoring.compare(scored, other)
    if scored.without_truth:
        terminal.say(f"{scored.without_truth:,} predicted rows belong to steps without an mlo file: left out")
    if scored.no_members:
        terminal.say(f"the ensemble is not scored as a distribution: {scored.no_members}")
    if json:
        terminal.as_json(content)
    else:
        print(score_text.whole(content))
    for path in out or []:  # last: a disk that is full does not cost the answer
        scoring.save(path, scored, content)
        terminal.say(f"{path}: written")


def report(
    out: Annotated[Path, typer.Argument(help="Folder of the report: index.html and figures/.")],
    predictions: Annotated[list[str], typer.Argument(metavar="RUN|PREDICTION...", help="Runs (RUN@best), predictions "
                           "or folders of subgrid run; NAME=PATH gives a name.")],
    truth: Annotated[str | None, typer.Option(help="A data set or raw steps to judge by. Default: what was "
                                                   "predicted from.")] = None,
    title: Annotated[str, typer.Option(help="Heading of the page.")] = "Emulator report",
) -> None:  # fmt: skip
    """A page to look at: scores, maps, profiles and the worst columns of one or several predictions.

    Example: subgrid report report MLP=mlp Squeezeformer=squeezeformer
    """
    from subgrid.report.write import ReportSettings, write_report

    print(write_report(out, predictions, ReportSettings(truth, title), terminal.progress))
