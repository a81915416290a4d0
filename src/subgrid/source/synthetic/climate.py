"""The model as a whole: start, step, and the states at chosen times."""

from collections.abc import Iterator

from subgrid.schema.variables import TIME_STEP
from subgrid.source.synthetic.forcing import forcing, reference
from subgrid.source.synthetic.physics import physics
from subgrid.source.synthetic.state import Boundary, Outputs, State
from subgrid.source.synthetic.surface import boundary
from subgrid.source.synthetic.world import World

_CHUNK = 512  # columns at a time: their arrays stay in cache, and memory does not grow with the grid


def step(world: World, state: State, seconds: float) -> State:
    """step(state) = physics(state) + forcing(state, time): the state 1,200 s after ``seconds``."""
    after, _ = physics(state, boundary(world, state, seconds), world.grid)
    return forcing(world, after, seconds)


def spun_up(world: World, seconds: int, steps: int) -> State:
    """The state at ``seconds`` of a run that began ``steps`` steps before it from the reference state."""
    start = seconds - steps * TIME_STEP
    return advance(world, reference(world, start), start, steps)


def advance(world: World, state: State, seconds: int, steps: int) -> State:
    """The state ``steps`` steps after ``seconds``."""
    for index in range(steps):
        state = step(world, state, seconds + index * TIME_STEP)
    return state


def parts(columns: int) -> Iterator[slice]:
    """Runs of columns small enough to stay in cache."""
    for start in range(0, columns, _CHUNK):
        yield slice(start, min(start + _CHUNK, columns))


def observe(world: World, state: State, seconds: int) -> tuple[Boundary, State, Outputs]:
    """What stands in the two files of a step: the boundary inputs, the state after physics, the outputs."""
    inputs = boundary(world, state, seconds)
    after, outputs = physics(state, inputs, world.grid)
    return inputs, after, outputs
