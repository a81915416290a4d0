"""NaN and misfits are refused with the names of the columns."""

import numpy as np
import pytest

from subgrid.errors import InputError
from subgrid.evaluation.terms import error, paired


def test_error_is_prediction_minus_truth_in_float64() -> None:
    samples = paired(np.array([[3, 1]], dtype=np.float32), np.array([[1.0, 1e-60]]))
    np.testing.assert_array_equal(error(samples), [[2.0, 1.0 - 1e-60]])
    assert samples.prediction.dtype == np.float64


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("which", ["prediction", "truth"])
def test_what_is_not_finite_is_refused_with_column_and_count(which: str, value: float) -> None:
    arrays = {"prediction": np.zeros((5, 3)), "truth": np.zeros((5, 3))}
    arrays[which][1:3, 2] = value
    with pytest.raises(InputError, match=rf"{which} must be finite.* 2 of 15 values \(ptend_t_2: 2\)"):
        paired(**arrays, columns=["ptend_t_0", "ptend_t_1", "ptend_t_2"])


def test_infinities_that_would_cancel_and_many_columns() -> None:
    prediction = np.zeros((2, 20))
    prediction[0], prediction[1] = np.inf, -np.inf
    with pytest.raises(InputError, match=r"40 of 40 values \(column 0: 2.* and 12 more columns\)"):
        paired(prediction, np.zeros((2, 20)))


def test_a_sum_that_overflows_is_no_infinity() -> None:
    paired(np.full((4, 2), 1e308), np.zeros((4, 2)))


@pytest.mark.parametrize(
    ("prediction", "truth", "columns"),
    [((4, 2), (4, 3), None), ((4, 3), (4, 3), ["a"]), ((3,), (3,), None), ((1, 3), (4, 3), None)],
)
def test_shapes_that_do_not_fit_are_refused(prediction: tuple, truth: tuple, columns: list[str] | None) -> None:
    with pytest.raises(InputError, match="shape"):
        paired(np.zeros(prediction), np.zeros(truth), columns)
