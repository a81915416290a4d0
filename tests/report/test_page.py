"""The page: well-formed, self-contained, honest about what is weak; what users type is text and never markup."""

import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest

from subgrid.report.cases import Case
from subgrid.report.page import by_variable, differences, headline, level_rows, notes, number, origin, render
from subgrid.report.plates import DrawnPlate, NumberTable, Plate, Section

VOID = {"meta", "link", "br", "input"}


class Checker(HTMLParser):
    """Collects tags, ids and addresses, and sees to it that what is opened is closed."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: list[str] = []
        self.addresses: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        self.ids += [str(found["id"])] if "id" in found else []
        self.addresses += [str(found[name]) for name in ("src", "href", "xlink:href") if name in found]
        if tag not in (*VOID, "td", "tr", "option"):  # whose end may be left out
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in ("td", "tr", "option"):
            assert self.open.pop() == tag


@pytest.fixture
def text(case: Case) -> str:
    """A page with one section of two plates and a table."""
    plates = (Plate("one", "One", "caption", lambda: None, variable="ptend_t"), Plate("two", "T", "c", lambda: None))  # type: ignore[arg-type,return-value]
    table = NumberTable("Numbers", ("Name", "Of", "Value"), (("a", "truth", 1.0), ("b", "x", float("nan"))))
    drawn = {one.name: DrawnPlate(one, "<svg></svg>", f"figures/{one.name}.png", "x.pdf", 4.9) for one in plates}
    other = replace(case, subject=replace(case.subject, label="<b>bold</b> & run"))
    return render("A <title>", [case, other], [Section("part", "Part", "intro", plates, (table,))], drawn)


def test_the_page_is_well_formed(text: str) -> None:
    checker = Checker()
    checker.feed(re.sub(r"<(script|style)>.*?</\1>", "", text, flags=re.DOTALL))
    assert checker.open == []
    assert len(set(checker.ids)) == len(checker.ids)
    assert {"scores", "part", "table", "origin", "one", "two"} <= set(checker.ids)


def test_nothing_comes_from_elsewhere(text: str) -> None:
    checker = Checker()
    checker.feed(text)
    outside = [one for one in checker.addresses if not one.startswith(("#", "data:", "figures/", "x.pdf"))]
    assert outside == []
    assert "default-src 'none'" in text
    assert not re.search(r"@import|url\((?!#|data:)", text)


def test_what_users_type_is_text(text: str) -> None:
    assert "<b>bold" not in text
    assert "&lt;b&gt;bold&lt;/b&gt; &amp; run" in text
    assert "<title>A &lt;title&gt;</title>" in text


def test_figures_carry_their_choices_and_files(text: str) -> None:
    assert '<figure id="one" data-variable="ptend_t">' in text
    assert '<figure id="two">' in text
    assert '<a href="figures/one.png">PNG</a>' in text


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, "–"),
        (float("nan"), "–"),
        (0.12345, "0.123"),
        (0.0, "0.000"),
        (12.345, "12.3"),
        (-58084.2, "-58084"),
        (1.234e-7, "1.23e-07"),
        (-3.1e12, "-3.10e+12"),
    ],
)
def test_numbers(value: float | None, expected: str) -> None:
    assert number(value) == expected


def test_scores_are_those_of_the_card(case: Case) -> None:
    found = dict(headline(case)["figures"])
    for name, value in case.scored.card.headline().items():
        assert found[name][0] == value
    assert headline(case)["rows"] == 72  # three steps of 24 columns


def test_notes_say_what_is_weak(case: Case) -> None:
    text = " ".join(notes([case]))
    assert "interval" in text.lower()
    learnt = replace(case, subject=replace(case.subject, split="training"))
    assert "scored on rows that were learnt" in " ".join(notes([learnt]))
    manifest = case.scored.manifest.model_copy(update={"input_digest": "other"})
    other = replace(case, scored=replace(case.scored, manifest=manifest))
    assert "must not be compared" in " ".join(notes([case, other]))


def test_a_run_is_no_better_than_itself(case: Case) -> None:
    (found,) = differences([case, case])
    assert [row["difference"] for _, row in found["figures"]] == [0.0, 0.0, 0.0]


def test_tables_by_variable_and_level(case: Case) -> None:
    rows = by_variable([case, case])
    assert [row["name"] for row in rows[:4]] == ["ptend_t", "ptend_t", "ptend_q0001", "ptend_q0001"]
    levels = list(level_rows(case))
    assert len(levels) == 368
    label, name, level, pressure, values, unit = levels[59]
    assert (label, name, level, unit) == ("tiny", "ptend_t", 59, "K/s")
    assert values[0] == float(case.scores["r2"].sel(variable="ptend_t", level=59))
    assert 900 < float(pressure) < 1000
    assert levels[-1][1:4] == ("cam_out_SOLLD", "", "")


def test_origin_says_what_was_run(case: Case) -> None:
    found = origin(case)
    pairs = dict(found["pairs"])
    assert pairs["data digest"] == case.card["data_digest"]
    assert "validation" in pairs["truth"]
    assert "torch" in pairs["versions"]
    assert "rows: 96" in found["recipe"]
    assert origin(replace(case, card=None))["recipe"] == ""
