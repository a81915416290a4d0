"""The table of variables against the published lists, and against real steps."""

from pathlib import Path

import netCDF4
import numpy as np
import pytest

from subgrid.errors import SettingsError
from subgrid.schema.variables import FILL_LIMIT, LEVELS, TABLE, TIME_STEP, variable

PROFILES = [f"state_{name}" for name in ("t", "q0001", "q0002", "q0003", "u", "v")]
PROFILES += [f"pbuf_{gas}" for gas in ("ozone", "CH4", "N2O")]


def test_constants_of_the_simulation() -> None:
    assert (LEVELS, TIME_STEP, FILL_LIMIT) == (60, 1200, 1e29)


def test_the_table_has_26_inputs_and_14_targets() -> None:
    inputs = [item for item in TABLE.values() if item.role == "input"]
    targets = [item for item in TABLE.values() if item.role == "target"]
    assert list(TABLE.values()) == inputs + targets and (len(inputs), len(targets)) == (26, 14)
    assert [item.name for item in inputs if item.levels == 60] == PROFILES
    assert {item.levels for item in TABLE.values()} == {1, 60}
    assert all(item.name == name for name, item in TABLE.items())


def test_profile_targets_are_tendencies_of_states() -> None:
    tendencies = [item for item in TABLE.values() if item.state]
    assert [item.name for item in tendencies] == [
        f"ptend_{name}" for name in ("t", "q0001", "q0002", "q0003", "u", "v")
    ]
    for item in tendencies:
        state = variable(item.state)
        assert item.levels == state.levels == 60 and state.name == item.name.replace("ptend", "state")
        assert item.unit in (state.unit + "/s", state.unit.replace("/s", "/s2")) and item.exponent == state.exponent
        assert item.low == -item.high
    assert all(item.role == "target" and item.levels == 60 for item in tendencies)


def test_every_variable_says_what_it_is() -> None:
    for item in TABLE.values():
        assert item.meaning and item.unit and item.low < item.high and np.isfinite([item.low, item.high]).all()
        largest = max(abs(item.low), abs(item.high))
        assert largest * 2.0**item.exponent < np.finfo(np.float32).max
    assert [item.name for item in TABLE.values() if item.fill] == ["cam_in_SNOWHICE"]


def test_columns_are_named_as_in_kaggles_tables() -> None:
    assert variable("state_t").column_names() == [f"state_t_{level}" for level in range(60)]
    assert variable("cam_out_PRECC").column_names() == ["cam_out_PRECC"]


def test_an_unknown_variable_is_told_with_those_known() -> None:
    with pytest.raises(SettingsError, match="unknown variable 'state_w'; known are: state_t, .*cam_out_SOLLD"):
        variable("state_w")


def test_ranges_are_wider_than_real_steps_and_narrower_than_damage(real_source: Path) -> None:
    """A file of zeros must be noticed by at least one input and one output."""
    for path in sorted(real_source.glob("train/*/*.nc"))[::24]:
        with netCDF4.Dataset(path) as file:
            file.set_auto_mask(False)
            for name in set(TABLE) & set(file.variables):
                item, values = TABLE[name], np.asarray(file[name][...])
                values = values[values < FILL_LIMIT] if item.fill else values
                assert values.shape[0] == item.levels or item.levels == 1
                assert item.low <= values.min() and values.max() <= item.high, name
            assert any(not TABLE[name].low <= 0.0 <= TABLE[name].high for name in set(TABLE) & set(file.variables))
