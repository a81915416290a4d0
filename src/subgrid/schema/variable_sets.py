"""Ordered lists of variables and the column offsets that follow from them; no offset is ever typed by hand."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from subgrid.errors import SettingsError
from subgrid.schema.variables import TABLE, Variable, variable


@dataclass(frozen=True)
class VariableSet:
    """What a row holds: input variables side by side, then target variables, each profile from level 0 (top) down.

    ``input_slices["state_u"]`` is where the 60 values of ``state_u`` stand among the inputs of a row.
    """

    name: str
    inputs: tuple[Variable, ...]
    targets: tuple[Variable, ...]

    @cached_property
    def input_slices(self) -> dict[str, slice]:
        return _slices(self.inputs)

    @cached_property
    def target_slices(self) -> dict[str, slice]:
        return _slices(self.targets)

    @cached_property
    def input_width(self) -> int:
        return sum(item.levels for item in self.inputs)

    @cached_property
    def target_width(self) -> int:
        return sum(item.levels for item in self.targets)

    @cached_property
    def input_columns(self) -> list[str]:
        """Column names of the inputs as in Kaggle's tables."""
        return [column for item in self.inputs for column in item.column_names()]

    @cached_property
    def target_columns(self) -> list[str]:
        """Column names of the targets as in Kaggle's tables."""
        return [column for item in self.targets for column in item.column_names()]

    @cached_property
    def input_exponents(self) -> np.ndarray:
        """Storage exponent of every input column, int64 (input_width,)."""
        return _per_column(self.inputs, [item.exponent for item in self.inputs])

    @cached_property
    def target_exponents(self) -> np.ndarray:
        """Storage exponent of every target column, int64 (target_width,)."""
        return _per_column(self.targets, [item.exponent for item in self.targets])


def _slices(variables: tuple[Variable, ...]) -> dict[str, slice]:
    ends = np.cumsum([item.levels for item in variables])
    return {item.name: slice(int(end) - item.levels, int(end)) for item, end in zip(variables, ends, strict=True)}


def _per_column(variables: tuple[Variable, ...], values: list[int]) -> np.ndarray:
    return np.repeat(np.array(values, dtype=np.int64), [item.levels for item in variables])


def _set(name: str, inputs: str, targets: str) -> VariableSet:
    return VariableSet(
        name, tuple(variable(item) for item in inputs.split()), tuple(variable(item) for item in targets.split())
    )


_ALL_INPUTS = " ".join(item.name for item in TABLE.values() if item.role == "input")
_ALL_TARGETS = " ".join(item.name for item in TABLE.values() if item.role == "target")

VARIABLE_SETS: dict[str, VariableSet] = {
    "kaggle": _set("kaggle", _ALL_INPUTS.replace("cam_in_SNOWHICE ", ""), _ALL_TARGETS),  # 556 -> 368
    "v1": _set(  # 124 -> 128, the set of the ClimSim paper
        "v1",
        "state_t state_q0001 state_ps pbuf_SOLIN pbuf_LHFLX pbuf_SHFLX",
        "ptend_t ptend_q0001 cam_out_NETSW cam_out_FLWDS cam_out_PRECSC cam_out_PRECC "
        "cam_out_SOLS cam_out_SOLL cam_out_SOLSD cam_out_SOLLD",
    ),
    "v2": _set("v2", _ALL_INPUTS, _ALL_TARGETS),  # 557 -> 368
}


def variable_set(name: str) -> VariableSet:
    """The set of that name; raises SettingsError with the known names otherwise."""
    if name not in VARIABLE_SETS:
        raise SettingsError(f"unknown variable set {name!r}; known are: {', '.join(VARIABLE_SETS)}")
    return VARIABLE_SETS[name]


UNSCORED_LEVELS = {f"ptend_{name}": range(12) for name in ("q0001", "q0002", "q0003", "u", "v")}
"""Levels without weight in the competition: physics does not act there in E3SM-MMF (new weights of 18 June 2024)."""


def scored_columns(variables: VariableSet) -> np.ndarray:
    """Mask of the target columns that the competition scores, bool (target_width,); 308 of 368 for ``kaggle``."""
    scored = np.ones(variables.target_width, dtype=bool)
    for item in variables.targets:
        start = variables.target_slices[item.name].start
        scored[[start + level for level in UNSCORED_LEVELS.get(item.name, ())]] = False
    return scored
