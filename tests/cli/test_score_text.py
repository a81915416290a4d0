"""Scores as text: numbers that can be read, and nothing promised that is not known."""

from typing import Any

from subgrid.cli import score_text


def content(**changes: Any) -> dict[str, Any]:
    figures = {"competition": 0.5, "r2_308": -123456.789, "r2_294": 0.25}
    row = {"r2": 0.5, "mae": 1.0, "rmse": 2.0, "bias": None, "unit": "K/s"}
    energy = {"r2": -63.7, "pooled_r2": 0.25, "mae": 1.0, "rmse": 2.0, "bias": 0.1}
    return {
        **figures,
        "rows": 1000,
        "below_zero": {"count": 7, "columns": {f"ptend_v_{level}": -1.0 for level in range(7)}},
        "undefined": ["ptend_q0002_15"],
        "intervals": {name: [0.1, 0.9] for name in figures},
        "blocks": {"days": 5, "count": 30, "weak": False},
        "by_variable": {"ptend_t": row},
        "ensemble": None,
        "climsim": {"samples_a_column": [40, 41], "columns_with_few": 0, "by_variable": {"ptend_t": energy}},
    } | changes


def test_large_numbers_lose_their_decimals() -> None:
    assert score_text.figures(content()) == "competition 0.5000   r2_308 -1.23e+05   r2_294 0.2500"


def test_only_the_worst_columns_are_listed() -> None:
    text = score_text.remarks(content())
    assert "1,000 rows; 7 of the columns" in text and "... and 2 more" in text and "ptend_q0002_15" in text


def test_intervals_say_how_much_they_are_worth() -> None:
    assert "intervals from 30 blocks of 5 days" in score_text.whole(content())
    weak = content(blocks={"days": 5, "count": 12, "weak": True})
    assert "intervals are weak: only 12 blocks" in score_text.whole(weak)
    none = content(blocks={"days": 5, "count": 1, "weak": True}, intervals={})
    assert "no intervals" in score_text.whole(none) and "within" not in score_text.whole(none)


def test_r2_of_few_samples_stands_in_brackets() -> None:
    assert "(-63.7)" not in score_text.whole(content())
    few = {**content()["climsim"], "samples_a_column": [12, 12], "columns_with_few": 384}
    text = score_text.whole(content(climsim=few))
    assert "(-63.7)" in text and "384 columns have fewer than 30 samples" in text


def test_an_ensemble_has_a_table_of_its_own() -> None:
    row = {"crps": 0.25, "spread": 1.0, "skill": 2.0, "spread_skill": None}
    text = score_text.whole(content(ensemble={"ptend_t": row}))
    assert "spread_skill" in text and "ptend_t" in text.splitlines()[-2] and text.splitlines()[-2].endswith("-")


def test_a_comparison_has_signs() -> None:
    differences = {"r2_294": {"difference": 0.02, "interval": [-0.01, 0.05]}}
    text = score_text.whole(content(climsim=None, against={"prediction": "other@2", "differences": differences}))
    assert "better than other@2 by" in text and "+0.0200   95 % within -0.0100 ... +0.0500" in text
