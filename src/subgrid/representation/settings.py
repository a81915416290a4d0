"""What a recipe says about the representation of inputs and targets."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from subgrid.schema.variables import TABLE

_VANISHING_BUT_ONE = (12, 25)  # the levels whose cloud water is gone in one step, less 26, which networks do learn

DERIVED = {
    "humidity": ("relative_humidity", "saturation", "liquid_fraction", "condensate"),
    "buoyancy": ("parcel_energy", "saturation_deficit", "saturated_step", "moist_step"),
    "shear": ("shear_u", "shear_v"),
    "stability": ("richardson", "moist_richardson"),
    "phase": ("liquid_excess", "ice_excess"),
}
"""Channels that follow from the state of a column, by group; ``representation.derived`` has their formulas."""


class RepresentationSettings(BaseModel):
    """Settings of the encoder and the target transform.

    Attributes:
        name: ``leap``, the winner's three forms of each profile value with wind speed (``kaggle``: 28 profile and 16
            scalar channels), or ``per_level``, the per-level form alone (9 and 16).
        derived: groups of further channels that follow from the state by the laws of moist air (``DERIVED``).
            They need winds, all species of water and the grid's hybrid levels.
        target_scale: ``std`` divides a target by its standard deviation in the table; ``old_weights`` multiplies it by
            the competition's first weights.
        symmetric: a prediction is the mean over the four mirror images of a column (``representation.symmetry``), each
            turned back: symmetric to the last bit, at four times the cost. Training is not touched by it.
        masked: targets that are not trained, as variable: [first level, last level], both inclusive; a scalar is
            [0, 0]. The levels that the competition does not score are never trained and need not stand here. A variable
            that the variable set lacks masks nothing.

    Raises:
        pydantic.ValidationError: an unknown key or target variable, levels out of order or outside the variable.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Literal["leap", "per_level"] = "leap"
    derived: tuple[Literal["humidity", "buoyancy", "shear", "stability", "phase"], ...] = ()
    target_scale: Literal["std", "old_weights"] = "std"
    symmetric: bool = False
    masked: dict[str, tuple[int, int]] = Field(default_factory=lambda: {"ptend_q0002": _VANISHING_BUT_ONE})

    @field_validator("derived")
    @classmethod
    def _in_order(cls, derived: tuple[str, ...]) -> tuple[str, ...]:
        if len(set(derived)) < len(derived):
            raise ValueError(f"a group of derived channels stands twice: {', '.join(derived)}")
        return tuple(group for group in DERIVED if group in derived)

    @field_validator("masked")
    @classmethod
    def _known_levels(cls, masked: dict[str, tuple[int, int]]) -> dict[str, tuple[int, int]]:
        targets = {name: item for name, item in TABLE.items() if item.role == "target"}
        for name, (first, last) in masked.items():
            if name not in targets:
                raise ValueError(f"unknown target variable {name!r}; known are: {', '.join(targets)}")
            if not 0 <= first <= last < targets[name].levels:
                raise ValueError(
                    f"{name}: expected [first, last] with 0 <= first <= last <= {targets[name].levels - 1}, "
                    f"found [{first}, {last}]"
                )
        return masked
