"""A small made-up climate that writes the same files as ClimSim: a model, not a generator. Step = physics + forcing.

The two halves are plain functions: ``physics(state, boundary, grid)`` is what an emulator stands in for, ``forcing`` is
all the rest. ``write_climate(out, settings)`` is ``subgrid sample``.
"""

from subgrid.source.synthetic.climate import advance, observe, spun_up, step
from subgrid.source.synthetic.files import SyntheticSettings, write_climate
from subgrid.source.synthetic.forcing import forcing, reference
from subgrid.source.synthetic.grid import fibonacci_grid
from subgrid.source.synthetic.physics import physics, top_fluxes
from subgrid.source.synthetic.state import Boundary, Outputs, State
from subgrid.source.synthetic.surface import boundary
from subgrid.source.synthetic.world import World

__all__ = [
    "Boundary",
    "Outputs",
    "State",
    "SyntheticSettings",
    "World",
    "advance",
    "boundary",
    "fibonacci_grid",
    "forcing",
    "observe",
    "physics",
    "reference",
    "spun_up",
    "step",
    "top_fluxes",
    "write_climate",
]
