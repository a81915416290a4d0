"""Names of files that follow from labels, and nothing that leads out of a source."""

import pytest

from subgrid.errors import DatasetError
from subgrid.source.naming import NamedSteps, Naming, naming_of
from subgrid.source.steps import Step, pair, time_of

NAMES = [f"train/{label[:7]}/E3SM-MMF.{kind}.{label}.nc" for kind in ("mli", "mlo")
         for label in ("0001-02-01-00000", "0001-03-09-01200", "0008-12-31-85200")]  # fmt: skip


def test_the_layout_of_the_public_data_is_one_naming() -> None:
    steps = pair(NAMES, "here")
    naming = naming_of(steps, "grid.nc")
    assert naming == Naming("train/{month}/E3SM-MMF.mli.{label}.nc", "train/{month}/E3SM-MMF.mlo.{label}.nc", "grid.nc")
    assert [naming.step(step.label) for step in steps] == steps
    assert Naming.from_json(naming.to_json(), "plan") == naming


def test_steps_without_mlo_do_not_matter() -> None:
    steps = pair([*NAMES, "elsewhere/E3SM-MMF.mli.0002-01-01-00000.nc"], "here")
    assert naming_of(steps) is not None


def test_names_that_follow_no_rule_have_no_naming() -> None:
    steps = pair([*NAMES, *(f"more/E3SM-MMF.{kind}.0002-01-01-00000.nc" for kind in ("mli", "mlo"))], "here")
    assert naming_of(steps) is None
    assert naming_of([Step(0, "x.mli.0001-01-01-00000.nc", "")]) is None


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"mli": "../{label}.nc"}, "leads out of the source"),
        ({"mlo": "/etc/{label}"}, "leads out of the source"),
        ({"mli": "https://elsewhere/{label}"}, "leads out of the source"),
        ({"grid": "a/../../b"}, "leads out of the source"),
        ({"mli": "always-the-same.nc"}, r"must hold \{label\}"),
        ({"mli": 3}, "must be mli, mlo and grid"),
        ({"more": "x"}, "must be mli, mlo and grid"),
    ],
)
def test_a_naming_that_cannot_be_trusted_is_refused(change: dict[str, object], message: str) -> None:
    data = {**Naming("a/{label}.nc", "b/{label}.nc").to_json(), **change}
    with pytest.raises(DatasetError, match=f"^plan: .*{message}"):
        Naming.from_json(data, "plan")


def test_named_steps_are_those_of_their_labels_and_no_others() -> None:
    naming = Naming("a/{month}/x.mli.{label}.nc", "x.mlo.{label}.nc")
    labels = ("0001-02-01-00000", "0003-12-31-85200")
    steps = NamedSteps(naming, frozenset(labels))
    assert dict(steps) == {label: naming.step(label) for label in labels} and len(steps) == 2
    assert steps[labels[1]] == Step(
        time_of(labels[1]), "a/0003-12/x.mli.0003-12-31-85200.nc", "x.mlo.0003-12-31-85200.nc"
    )
    assert "0001-02-01-01200" not in steps
    with pytest.raises(KeyError):
        steps["0001-02-01-01200"]
