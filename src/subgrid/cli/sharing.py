"""Commands that carry things elsewhere: extract, pointer, publish."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from subgrid.cli import terminal


class Format(StrEnum):
    """What ``subgrid extract`` writes."""

    npy = "npy"
    zarr = "zarr"
    parquet = "parquet"
    kaggle = "kaggle"


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    for command in (extract, pointer, publish):
        app.command()(command)


def extract(
    dataset: Annotated[str, typer.Argument(help="A data set: a folder, a URL or a pointer.")],
    out: Annotated[Path, typer.Argument(help="Folder for the files.")],
    format: Annotated[Format, typer.Option(help="Of the files.")] = Format.npy,
    split: Annotated[str | None, typer.Option(help="training or validation. Default: all rows.")] = None,
    float32: Annotated[bool, typer.Option("--float32", help="Half the size; values below 1e-38 become 0.")] = False,
) -> None:
    """Write the rows of a data set as plain arrays or tables, in physical units, not normalised.

    Example: subgrid extract data arrays --format npy
    """
    from subgrid.records.extract import ExtractSettings
    from subgrid.records.extract import extract as extract_records
    from subgrid.records.reader import Dataset

    opened = Dataset.open(dataset)
    with terminal.progress("extract", "rows") as report:
        found = extract_records(opened, out, ExtractSettings(format.value, split, float32), report)
    print(f"{out}: {', '.join(path.name for path in found[:6])}{', ...' if len(found) > 6 else ''}")


def pointer(
    file: Annotated[Path, typer.Argument(help="The pointer file; one that exists names the new place from now on.")],
    url: Annotated[str, typer.Argument(help="Where the data set is: any fsspec URL, or a folder.")],
) -> None:
    """Write a small file that names where a data set is, and may be given wherever a data set is.

    Example: subgrid pointer data.pointer gs://bucket-of-today/data
    """
    from subgrid.records.pointer import write_pointer

    print(f"{file}: points to {write_pointer(file, url)}")


def publish(
    path: Annotated[Path, typer.Argument(help="Folder of a data set, a run or a prediction.")],
    target: Annotated[str, typer.Argument(help="gs://..., s3://..., any URL that can be written; hf://datasets/OWNER/"
                                               "NAME or hf://OWNER/NAME; or a folder, for links.")],
    title: Annotated[str | None, typer.Option(help="Title of the card. Default: the folder's name.")] = None,
    licence: Annotated[str | None, typer.Option(help="cc-by-4.0 or apache-2.0. Default: what the data say of "
                                                     "themselves, else cc-by-4.0.")] = None,
    kaggle: Annotated[str | None, typer.Option(metavar="OWNER/SLUG", help="Write dataset-metadata.json for the kaggle "
                                               "client.")] = None,
    split_into: Annotated[int, typer.Option(help="Cut a data set into so many, each in a folder of its own.",
                                            min=1)] = 1,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be sent, and send nothing.")] = False,
) -> None:  # fmt: skip
    """Publish a data set, a run or a prediction with a card. The same command again sends what is missing.

    Example: subgrid publish data hf://datasets/me/climsim-low-res
    """
    from subgrid.publishing.publish import PublishSettings
    from subgrid.publishing.publish import publish as publish_folder

    settings = PublishSettings(title, licence, kaggle, split_into, dry_run)
    with terminal.progress("publish", "bytes") as report:
        found = publish_folder(path, target, settings, report)
    for one in found:
        told = "to send" if dry_run else "sent"
        if one.copied:
            terminal.say(
                f"{one.label}: {one.copied:,} files are copies: hard links do not reach there, and symbolic ones would "
                "not be packed"
            )
        print(f"{one.label}: {one.files:,} files {told}, {terminal.size(one.bytes)}; {one.kept:,} there already")
