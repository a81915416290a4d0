"""Channels by name: 28 x 60 + 16 = 1,696 values for the winner's form, computed for any set."""

from collections import Counter

import pytest

from subgrid.errors import SettingsError
from subgrid.representation.layout import Layout
from subgrid.representation.settings import RepresentationSettings
from subgrid.schema.variable_sets import variable_set

LEAP, PER_LEVEL = RepresentationSettings(), RepresentationSettings(name="per_level")


@pytest.mark.parametrize(
    ("name", "settings", "shape"),
    [
        ("kaggle", LEAP, (60, 28, 16)),
        ("kaggle", PER_LEVEL, (60, 9, 16)),
        ("v2", LEAP, (60, 28, 17)),
        ("v1", LEAP, (60, 6, 4)),
        ("v1", PER_LEVEL, (60, 2, 4)),
    ],
)
def test_shape_of_every_set(name: str, settings: RepresentationSettings, shape: tuple[int, int, int]) -> None:
    assert Layout(variable_set(name), settings).shape == shape


def test_the_1696_values_are_accounted_for_by_name() -> None:
    variables = variable_set("kaggle")
    names = Layout(variables, LEAP).value_names
    assert len(names) == len(set(names)) == 1_696
    forms = Counter(name.rsplit(".", 1)[1] for name in names)
    assert forms == {"per_level": 540 + 60 + 16, "pooled": 540, "signed_log": 540}
    expected = {f"{column}.per_level" for column in variables.input_columns}
    profiles = [column for column in variables.input_columns if column.rsplit("_", 1)[1].isdigit()]
    profiles = [column for column in profiles if column[: column.rindex("_")] in variables.input_slices]
    expected |= {f"{column}.{form}" for column in profiles for form in ("pooled", "signed_log")}
    expected |= {f"wind_speed_{level}.per_level" for level in range(60)}
    assert set(names) == expected


def test_profile_channels_come_first_and_scalars_last() -> None:
    layout = Layout(variable_set("kaggle"), LEAP)
    assert layout.index("state_t") == 0
    assert layout.index("pbuf_N2O") == 8
    assert layout.index("wind_speed") == 9
    assert layout.index("state_t", "pooled") == 10
    assert layout.index("pbuf_N2O", "signed_log") == 27
    assert [item.variable for item in layout.channels[28:]] == [item.name for item in layout.scalars]


def test_an_unknown_channel_is_refused_with_the_known_names() -> None:
    with pytest.raises(SettingsError, match="state_t.per_level"):
        Layout(variable_set("kaggle"), PER_LEVEL).index("state_t", "pooled")
