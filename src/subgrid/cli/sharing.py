"""Commands that carry data sets elsewhere: pointer."""

from pathlib import Path
from typing import Annotated

import typer


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    for command in (pointer,):
        app.command()(command)


def pointer(
    file: Annotated[Path, typer.Argument(help="The pointer file; one that exists names the new place from now on.")],
    url: Annotated[str, typer.Argument(help="Where the data set is: any fsspec URL, or a folder.")],
) -> None:
    """Write a small file that names where a data set is, and may be given wherever a data set is.

    Example: subgrid pointer data.pointer gs://bucket-of-today/data
    """
    from subgrid.records.pointer import write_pointer

    print(f"{file}: points to {write_pointer(file, url)}")
