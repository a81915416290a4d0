"""What a manifest says of an ensemble reads back as it was written, and nothing else is taken."""

import pytest
from pydantic import ValidationError

from subgrid.prediction.members import Blend, Fit, Gain, Member, times


def member(**changes: object) -> Member:
    told = {"path": "../one", "run": "run", "checkpoint": "2", "checkpoint_digest": "c", "input_digest": "i",
            "weights": {"ptend_t": 0.1, "ptend_u": 1 / 3}}  # fmt: skip
    return Member.model_validate(told | changes)


def test_it_reads_back_to_the_bit() -> None:
    gain = {"r2_294": Gain(equal=0.1, fitted=1 / 3, low=None, high=None)}
    fit = Fit(truth="data", by="kind", block_days=5, rows=7, test_rows=8, test_blocks=1, gain=gain)
    blend = Blend(method="hill", fit=fit, weights_from="../other")
    for told in (member(), blend):
        assert type(told).model_validate_json(told.model_dump_json()) == told


def test_unknown_keys_and_methods_are_refused() -> None:
    with pytest.raises(ValidationError):
        member(surprise=1)
    with pytest.raises(ValidationError):
        Blend.model_validate({"method": "by feel"})


def test_the_weights_of_an_ensemble_inside_another_are_products() -> None:
    assert times(member().weights, {"ptend_t": 0.5, "ptend_u": 0.0}) == {"ptend_t": 0.05, "ptend_u": 0.0}
