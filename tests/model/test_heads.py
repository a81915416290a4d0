"""Order of a column's outputs: profiles variable by variable, then scalars and auxiliaries as means over levels."""

import torch

from subgrid.model import ModelShape
from subgrid.model.heads import ColumnHead, LevelHeads

SHAPE = ModelShape(levels=60, profile_channels=28, scalar_channels=16, profiles=6, scalars=8, auxiliary=6)


def test_profiles_are_variable_major_and_others_are_means():
    head = ColumnHead(20, SHAPE)
    with torch.no_grad():
        head.linear.weight.copy_(torch.eye(20))
    level, channel = torch.meshgrid(torch.arange(60.0), torch.arange(20.0), indexing="ij")
    out = head((1000 * channel + level).unsqueeze(0))[0]
    assert out.shape == (374,)
    for variable in range(6):
        assert out[60 * variable : 60 * variable + 60].tolist() == [1000 * variable + k for k in range(60)]
    assert out[360:].tolist() == [1000 * c + 29.5 for c in range(6, 20)]


def test_no_confidence_unless_asked_for():
    assert LevelHeads(8, SHAPE)(torch.randn(2, 60, 8)).confidence is None
