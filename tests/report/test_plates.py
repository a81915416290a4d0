"""Plates: three files of a figure, an SVG that can stand among others, an error that names the figure."""

import re
from pathlib import Path
from xml.etree import ElementTree

import pytest

from subgrid.errors import SubgridError
from subgrid.report.figures.style import INK, SERIES, new_figure
from subgrid.report.plates import Plate, draw, for_page


def curve():  # noqa: ANN201
    """A figure with text, ink and a run's colour."""
    figure = new_figure(2)
    axes = figure.subplots()
    axes.plot([1.23456789, 2], [0, 1], color=SERIES[0])
    axes.plot([0, 1], color=INK)
    axes.set_xlabel("R² <&>")
    return figure


def test_a_plate_is_an_svg_a_png_and_a_pdf(tmp_path: Path) -> None:
    drawn = draw(Plate("one-figure", "Title", 'a "caption" & more', curve), tmp_path)
    assert (tmp_path / "one-figure.png").read_bytes()[:4] == b"\x89PNG"
    assert (tmp_path / "one-figure.pdf").read_bytes()[:5] == b"%PDF-"
    assert (drawn.png, drawn.pdf) == (f"{tmp_path.name}/one-figure.png", f"{tmp_path.name}/one-figure.pdf")
    root = ElementTree.fromstring(drawn.svg)
    assert root.attrib["aria-label"] == 'Title. a "caption" & more'
    assert "width" not in root.attrib
    assert "viewBox" in root.attrib


def test_the_inks_are_the_pages(tmp_path: Path) -> None:
    svg = draw(Plate("a", "t", "c", curve), tmp_path).svg
    assert "var(--run-0)" in svg
    assert "var(--ink)" in svg
    assert INK not in svg
    assert "DejaVu" not in svg
    assert "<style" not in svg


def test_identifiers_of_two_figures_differ_and_lead_somewhere(tmp_path: Path) -> None:
    one, other = (draw(Plate(name, "t", "c", curve), tmp_path).svg for name in ("one", "other"))
    ids = [set(re.findall(r'\bid="([^"]+)"', svg)) for svg in (one, other)]
    assert ids[0] & ids[1] == set()
    assert set(re.findall(r'(?:href="#|url\(#)([^")]+)', one)) <= ids[0]


def test_a_plate_is_the_same_every_time(tmp_path: Path) -> None:
    first = draw(Plate("a", "t", "c", curve), tmp_path)
    bytes_ = [(tmp_path / f"a.{ending}").read_bytes() for ending in ("png", "pdf")]
    assert draw(Plate("a", "t", "c", curve), tmp_path).svg == first.svg
    assert [(tmp_path / f"a.{ending}").read_bytes() for ending in ("png", "pdf")] == bytes_


def test_a_figure_that_fails_is_named(tmp_path: Path) -> None:
    def broken():  # noqa: ANN202
        raise ValueError("no such level")

    with pytest.raises(SubgridError, match=r"'zonal' \(R² by latitude\) could not be drawn: ValueError: no such level"):
        draw(Plate("zonal", "R² by latitude", "", broken), tmp_path)


def test_a_folder_that_cannot_be_written_is_no_broken_figure(tmp_path: Path) -> None:
    with pytest.raises(SubgridError, match="could not be written"):
        draw(Plate("a", "t", "c", curve), tmp_path / "missing")


def test_coordinates_are_cut_but_matrices_are_not() -> None:
    svg = (
        '<?xml?><svg width="1pt" height="2pt"><path d="M 1.23456 2.5"/><g transform="matrix(0.12345 0 0 1 0 0)"/></svg>'
    )
    found = for_page(svg, "x", "words")
    assert 'd="M 1.23 2.5"' in found
    assert "0.12345" in found
