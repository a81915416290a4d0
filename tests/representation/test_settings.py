"""The settings refuse what cannot be meant, and load without torch."""

import subprocess
import sys

import pytest
from pydantic import ValidationError

from subgrid.representation.settings import RepresentationSettings


def test_the_default_is_the_winners_form_with_the_tables_std() -> None:
    settings = RepresentationSettings()
    assert (settings.name, settings.target_scale) == ("leap", "std")
    assert settings.masked == {"ptend_q0002": (12, 25)}


def test_a_yaml_list_is_a_range_of_levels_and_survives_json() -> None:
    settings = RepresentationSettings.model_validate({"masked": {"ptend_q0002": [12, 26], "cam_out_PRECC": [0, 0]}})
    assert settings.masked == {"ptend_q0002": (12, 26), "cam_out_PRECC": (0, 0)}
    assert RepresentationSettings.model_validate_json(settings.model_dump_json()) == settings


@pytest.mark.parametrize(
    ("found", "message"),
    [
        ({"form": "leap"}, "form"),
        ({"name": "winner"}, "per_level"),
        ({"masked": {"ptend_q2": [1, 2]}}, "ptend_q0002"),
        ({"masked": {"state_t": [1, 2]}}, "unknown target"),
        ({"masked": {"ptend_t": [5, 60]}}, "<= 59"),
        ({"masked": {"ptend_t": [5, 4]}}, r"found \[5, 4\]"),
        ({"masked": {"cam_out_SOLS": [0, 1]}}, "<= 0"),
    ],
)
def test_what_cannot_be_meant_is_refused(found: dict, message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        RepresentationSettings.model_validate(found)


def test_settings_and_layout_load_without_torch() -> None:
    code = (
        "import sys, subgrid.representation.settings, subgrid.representation.layout; "
        "from subgrid.representation import RepresentationSettings; raise SystemExit('torch' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_an_unknown_name_of_the_room_is_an_attribute_error() -> None:
    import subgrid.representation as room

    with pytest.raises(AttributeError, match="Decoder"):
        _ = room.Decoder
    assert room.Encoder.__name__ == "Encoder"
