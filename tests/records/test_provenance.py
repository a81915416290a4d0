"""What is noted of data: their licence, and a source that means something elsewhere and holds no secret."""

import pytest

from subgrid.records.provenance import Provenance, distinct, portable


@pytest.mark.parametrize(
    ("place", "expected"),
    [
        ("/home/me/ClimSim_low-res", "ClimSim_low-res"),
        ("ClimSim_low-res/", "ClimSim_low-res"),
        ("hf://datasets/LEAP/ClimSim_low-res", "hf://datasets/LEAP/ClimSim_low-res"),
        ("https://me:hunter2@host/raw?token=hunter2", "https://host/raw"),
    ],
)
def test_a_source_means_something_elsewhere(place: str, expected: str) -> None:
    assert portable(place) == Provenance.told(place, "").source == expected


def test_doubles_are_left_out_in_order() -> None:
    one, two = Provenance.told("a", "Apache-2.0 (made-up)"), Provenance.told("b", "CC-BY-4.0 (ClimSim, LEAP)")
    assert distinct([two, one, two]) == (two, one)
    assert one.made_up and not two.made_up
