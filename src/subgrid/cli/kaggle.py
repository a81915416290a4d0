"""Commands for the competition: submit, weights."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from subgrid.cli import terminal

if TYPE_CHECKING:
    from subgrid.prediction.weights import WeightComparison


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    for command in (submit, weights):
        app.command()(command)


def submit(
    prediction: Annotated[Path, typer.Argument(help="Folder of a prediction of test.csv.")],
    sample: Annotated[str, typer.Argument(help="The competition's sample_submission.csv, or the same as .parquet.")],
    out: Annotated[Path, typer.Argument(help="The submission, .csv or .parquet.")],
    no_rule: Annotated[bool, typer.Option("--no-rule", help="Leave out the cloud-water rule.")] = False,
    mean_where_negative: Annotated[
        Path | None,
        typer.Option(metavar="SCORES", help="A score.json: where R2 there is below 0, submit the training mean."),
    ] = None,
    run: Annotated[str | None, typer.Option(help="Whose training means. Default: the run that predicted.")] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace OUT even if it is no submission.")] = False,
) -> None:
    """Write a prediction as the competition's file: rows, columns and weights of its sample submission.

    Example: subgrid submit prediction sample_submission.csv submission.csv
    """
    from subgrid.errors import UsageError
    from subgrid.prediction.store import StoredPrediction
    from subgrid.prediction.submission import corrections_of, refuse_out
    from subgrid.prediction.submission import submit as submit_rows
    from subgrid.source.kaggle import KaggleTable

    if run is not None and mean_where_negative is None:
        raise UsageError("--run is for --mean-where-negative only: nothing else needs training means")
    asked = KaggleTable(sample)
    refuse_out(out, asked, overwrite)
    stored = StoredPrediction.open(prediction)
    corrections = corrections_of(stored, not no_rule, mean_where_negative, run)
    out.parent.mkdir(parents=True, exist_ok=True)
    with terminal.progress("submit", "rows") as report:
        done = submit_rows(stored, asked, out, corrections, report)
    if corrections.means:
        terminal.say(f"{len(corrections.means)} columns replaced by the training mean: {', '.join(corrections.means)}")
    if done.extra:
        terminal.say(f"{done.extra:,} predicted rows are not in {asked.label}: left out")
    print(f"{out}: {done.rows:,} rows with the {done.weights} weights")


def weights(
    out: Annotated[Path | None, typer.Argument(help="A csv file of columns and weights.")] = None,
    from_: Annotated[str | None, typer.Option("--from", metavar="DATASET", help="Weights of the old form, from the "
                                               "training split of a data set.")] = None,
    new: Annotated[bool, typer.Option("--new", help="The new weights, 0 and 1.")] = False,
    compare: Annotated[str | None, typer.Option(metavar="FILE", help="A sample submission, or a file of "
                                                "weights.")] = None,
) -> None:  # fmt: skip
    """Make the competition's weights, the published old ones unless told otherwise, and compare them with others.

    Example: subgrid weights weights.csv --from data --compare sample_submission.csv
    """
    from subgrid.errors import UsageError
    from subgrid.prediction.weights import compare_weights, make_weights, read_weights, write_weights
    from subgrid.records.reader import Dataset
    from subgrid.schema.variable_sets import variable_set
    from subgrid.source.urls import shown

    if from_ is not None and new:
        raise UsageError("give --from DATASET or --new, not both")
    if out is None and compare is None:
        raise UsageError("give OUT, a file to write the weights to, or --compare FILE, or both")
    table = Dataset.open(from_).table("training") if from_ is not None else None
    variables = table.variables if table is not None else variable_set("kaggle")
    made = make_weights(variables, table, new)
    others = read_weights(compare, variables) if compare is not None else None
    if out is not None:
        origin = "new" if new else f"from the training statistics of {shown(from_)}" if from_ is not None else "old"
        write_weights(out, made, variables, origin)
        print(f"{out}: {int((made != 0).sum())} weights and {int((made == 0).sum())} zeros")
    if others is not None:
        print(_comparison(compare_weights(made, others, variables)))


def _comparison(found: "WeightComparison") -> str:
    lines = [f"{'variable':16}{'largest relative difference':>28}   column"]
    lines += [
        f"{name:16}{value:28.3g}   {found.columns[name] if value else '-'}" for name, value in found.largest.items()
    ]
    lines += [f"{what}: {one} and {other}" for what, (one, other) in
              (("zeros", found.zeros), ("at the cap of 1e15", found.capped))]  # fmt: skip
    return "\n".join(lines)
