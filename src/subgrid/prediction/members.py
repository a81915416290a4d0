"""What a manifest says of an ensemble: its members, their weights, and where the weights come from."""

from collections.abc import Mapping
from typing import Literal

from pydantic import BaseModel, ConfigDict

Method = Literal["equal", "given", "least-squares", "hill"]


class _Told(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Member(_Told):
    """One network of an ensemble.

    Attributes:
        path: of its prediction, from the ensemble's folder: a chain that is moved as a whole stays whole.
        run, checkpoint, checkpoint_digest, input_digest: as in its manifest.
        group: that it was given in; empty without groups.
        weights: its share of the mean by target variable; over all members they sum to 1.
    """

    path: str
    run: str
    checkpoint: str
    checkpoint_digest: str
    input_digest: str
    group: str = ""
    weights: dict[str, float]


class Gain(_Told):
    """A score with equal weights and with fitted ones, both on rows that the weights were not fitted on.

    Attributes:
        equal, fitted: the score; None where it is not defined.
        low, high: 95 per cent interval of fitted - equal; None with fewer than two blocks of days.
    """

    equal: float | None
    fitted: float | None
    low: float | None
    high: float | None


class Fit(_Told):
    """How weights were fitted.

    Attributes:
        truth: what they were fitted on.
        by: what has weights of its own: all targets together, a kind of target, a variable.
        block_days: every second block of so many days was fitted on, the others tested on.
        rows, test_rows: of the two halves.
        test_blocks: blocks of days that the intervals are drawn from.
        gain: by score, on the rows tested on.
    """

    truth: str
    by: str
    block_days: int
    rows: int
    test_rows: int
    test_blocks: int
    gain: dict[str, Gain]


class Blend(_Told):
    """Where the weights of an ensemble come from.

    Attributes:
        method: equal weights, given ones, or fitted by one of two methods.
        fit: of fitted weights.
        weights_from: the ensemble that they were taken over from, if any.
    """

    method: Method
    fit: Fit | None = None
    weights_from: str | None = None


def times(weights: Mapping[str, float], share: Mapping[str, float]) -> dict[str, float]:
    """Weights within an ensemble that itself has a share in another one: their product, by target variable."""
    return {name: weight * share[name] for name, weight in weights.items()}
