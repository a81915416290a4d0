"""Cases: scores and gallery of the same rows; cases of differing targets do not share a page."""

from dataclasses import replace

import numpy as np
import pytest

from subgrid.errors import SettingsError
from subgrid.evaluation.scores import truth_std
from subgrid.report.cases import Case, same_targets


def test_a_case_holds_scores_and_rows_of_the_prediction(case: Case) -> None:
    assert case.scored.rows == len(case.gallery.truth)
    np.testing.assert_allclose(case.gallery.truth.std(axis=0), truth_std(case.scored.card.own), rtol=1e-9)
    assert float(case.scores["figure_value"].sel(figure="r2_294")) == case.scored.card.headline()["r2_294"]


def test_a_case_knows_its_run(case: Case) -> None:
    assert [line["sub_epoch"] for line in case.history] == [1, 2]
    assert case.card is not None
    assert case.card["recipe"]["training"]["rows"] == 96


def test_cases_of_other_targets_are_refused(case: Case) -> None:
    manifest = case.scored.manifest.model_copy(update={"variable_set": "v1"})
    other = replace(case, scored=replace(case.scored, manifest=manifest))
    same_targets([case, case])
    with pytest.raises(SettingsError, match="tiny: kaggle, tiny: v1; make a report of each"):
        same_targets([case, other])
