"""What was found reads well: tables, members of an ensemble, runs of levels."""

from pathlib import Path

from subgrid.cli import folder_text
from subgrid.inspection import inspect
from subgrid.schema.variable_sets import variable_set


def test_an_ensemble_shows_members_and_weights_by_kind() -> None:
    names = [item.name for item in variable_set("kaggle").targets]
    members = [
        {"path": f"../{run}", "run": f"runs/{run}", "checkpoint": "5", "group": "",
         "weights": {name: abs(place - (0.25 if name.startswith(("ptend_u", "ptend_v", "ptend_q0003")) else 0.75))
                     for name in names}}
        for place, run in enumerate(("one", "two"))
    ]  # fmt: skip
    assert folder_text.weights_text(members).splitlines() == [
        "   network  prediction",
        "1  one@5    ../one",
        "2  two@5    ../two",
        "",
        "weight of                                                        1      2",
        "temperature, radiation, precipitation, ptend_q0001, ptend_q0002  0.750  0.250",
        "wind, ptend_q0003                                                0.250  0.750",
    ]
    members[0]["group"] = members[1]["group"] = "all"
    assert folder_text.weights_text(members).splitlines()[1] == "1  one@5    all    ../one"


def test_where_weights_come_from_is_said_in_words() -> None:
    gain = {"r2_294": {"equal": 0.5, "fitted": 0.52, "low": 0.01, "high": 0.03}}
    fit = {"truth": "data", "by": "kind", "rows": 2304, "test_rows": 2305, "gain": gain}
    assert folder_text.blend_text({"method": "equal", "fit": None, "weights_from": None}) == "equal"
    assert folder_text.blend_text({"method": "hill", "fit": fit, "weights_from": "other"}) == (
        "fitted by hill climbing on data, by kind: 2,304 rows, tested on 2,305 others, r2_294 +0.0200 against equal "
        "weights (+0.0100 ... +0.0300); taken over from other"
    )


def test_every_kind_reads_well(work: Path, synthetic_source: Path) -> None:
    for path in (work / "data", work / "run", work / "prediction", synthetic_source):
        lines = folder_text.as_text(inspect(path)).splitlines()
        assert lines[0].startswith("kind ") and all(line == line.rstrip() for line in lines[1:] if line)


def test_runs_of_levels_are_drawn_together() -> None:
    names = ["state_q0002_12", "state_q0002_13", "pbuf_CH4_27", "cam_in_SNOWHICE", "ptend_u_0", "ptend_u_2"]
    assert folder_text._spans(names) == "state_q0002_12..13, pbuf_CH4_27, cam_in_SNOWHICE, ptend_u_0, ptend_u_2"
