"""A plate: one figure of the report with its words; drawn, it is an SVG in the page and a PNG and a PDF beside it.

Plates, and tables of numbers, make the sections of the page.
"""

import io
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from subgrid.errors import SubgridError
from subgrid.report.figures import style

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_DOTS = 200  # per inch, of PNG files
_INKS = {
    style.INK: "var(--ink)",
    style.MUTED: "var(--muted)",
    style.GRID: "var(--line)",
    style.BELOW: "var(--below)",
    style.GROUND: "var(--ground)",
    **{colour: f"var(--run-{place})" for place, colour in enumerate(style.SERIES)},
}


@dataclass(frozen=True)
class Plate:
    """A figure to be drawn.

    Attributes:
        name: of its files, lower-case letters, digits and hyphens.
        title: a few words.
        caption: what is seen and how to read it, plain text.
        draw: gives the figure; called once, inside the report's style.
        variable, run: which choice on the page shows it; "" for always.
    """

    name: str
    title: str
    caption: str
    draw: "Callable[[], Figure]"
    variable: str = ""
    run: str = ""


@dataclass(frozen=True)
class DrawnPlate:
    """A plate and its picture: ``svg`` to stand in a page, ``png`` and ``pdf`` as paths relative to the page."""

    plate: Plate
    svg: str
    png: str
    pdf: str
    width: float


@dataclass(frozen=True)
class NumberTable:
    """Numbers beside a figure.

    Attributes:
        title: "" for none.
        head: of the columns.
        rows: words and numbers, as many as the head has; the first is the row's name.
    """

    title: str
    head: tuple[str, ...]
    rows: tuple[tuple[str | float, ...], ...]


@dataclass(frozen=True)
class Section:
    """A part of the page; it is left out where it has no plates.

    Attributes:
        id: anchor, letters and hyphens.
        title: as in the list of contents.
        intro: how to read its figures, plain text.
        plates: its figures.
        tables: below them.
    """

    id: str
    title: str
    intro: str
    plates: tuple[Plate, ...] = ()
    tables: tuple[NumberTable, ...] = ()


def draw(plate: Plate, folder: Path) -> DrawnPlate:
    """Draw a plate and write its files into a folder; raises SubgridError that names the plate if it cannot be."""
    try:
        with style.context():
            figure = plate.draw()
            text = io.StringIO()
            figure.savefig(text, format="svg", facecolor="none", metadata={"Date": None}, dpi=_DOTS)
            figure.set_layout_engine("none")  # laid out once, saved three times
            for ending in ("png", "pdf"):
                bare = {"CreationDate": None} if ending == "pdf" else None
                figure.savefig(folder / f"{plate.name}.{ending}", dpi=_DOTS, metadata=bare)
    except OSError as error:
        raise SubgridError(f"{folder / plate.name}: the figure could not be written ({error})") from error
    except Exception as error:
        raise SubgridError(
            f"the figure {plate.name!r} ({plate.title}) could not be drawn: {type(error).__name__}: {error}"
        ) from error
    svg = for_page(text.getvalue(), plate.name, f"{plate.title}. {plate.caption}")
    relative = f"{folder.name}/{plate.name}"
    return DrawnPlate(plate, svg, f"{relative}.png", f"{relative}.pdf", figure.get_figwidth())


def for_page(svg: str, name: str, words: str) -> str:
    """An SVG of matplotlib's as it can stand inside an HTML page among others.

    Its identifiers become unique, its inks become the page's (light or dark), its text takes the page's letters, and it
    has words for those who do not see it.
    """
    from markupsafe import escape

    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<(metadata|style)\b.*?</\1>", "", svg, flags=re.DOTALL)
    svg = re.sub(r'\bid="([^"]+)"', rf'id="{name}-\1"', svg)
    svg = re.sub(r'(href="|url\()#', rf"\g<1>#{name}-", svg)
    svg = re.sub(r' (?:d|x|y)="[^"]*"', lambda found: re.sub(r"(\.\d\d)\d+", r"\1", found[0]), svg)
    for ink, ours in _INKS.items():
        svg = svg.replace(ink, ours)
    svg = re.sub(r"font-family: [^;\"]*", "font-family: var(--letters)", svg)
    head, rest = svg.split(">", 1)
    head = re.sub(r' (width|height)="[^"]*"', "", head)
    rest = re.sub(r"\s+", " ", rest).strip()
    return f'{head} role="img" aria-label="{escape(words)}">{rest}'
