"""Blocks of rows: how many there are, and what a block must be like to be a piece of an atmosphere."""

import numpy as np
import pytest

from subgrid.errors import InputError
from subgrid.schema.variable_sets import variable_set
from subgrid.schema.variables import TIME_STEP
from subgrid.source.arrays import ArrayPair
from subgrid.source.blocks import block_columns, blocks, unknown_places, whole_blocks

V1 = variable_set("v1")


def test_blocks_are_counted_like_steps() -> None:
    assert whole_blocks(72, 24, "x") == 3
    assert [(step.time, step.mli) for step in blocks(3)] == [(i * TIME_STEP, f"block {i}") for i in range(3)]
    for rows in (0, 73, 23):
        with pytest.raises(InputError, match=f"x: {rows} rows are no multiple of the 24 columns of the grid"):
            whole_blocks(rows, 24, "x")


def test_a_block_is_physical_or_refused() -> None:
    inputs, targets = np.full((V1.input_width, 4), 250.0), np.zeros((V1.target_width, 4))
    inputs[V1.input_slices["state_ps"]] = 1e5
    places = unknown_places(np.arange(4) + 7)
    found = block_columns(1200, (inputs, targets), places, str.upper, V1)
    assert found.inputs is inputs and found.targets is targets and found.time == 1200
    assert [values.tolist() for values in found.places or ()] == [[7, 8, 9, 10], [-1] * 4, [-1] * 4]
    assert np.array_equal(found.limits, [inputs.min(1), inputs.max(1)])
    inputs[3, 2] = 0.5
    with pytest.raises(InputError, match=r"STATE_T MUST LIE WITHIN 50 .* FOUND 0\.5 \.\.\. 250"):
        block_columns(0, (inputs, targets), places, str.upper, V1)


def test_a_grid_lies_beside_the_rows(tmp_path) -> None:
    pair = ArrayPair(tmp_path, "train")
    with pytest.raises(InputError, match="expected one grid file .*--grid"):
        pair.grid()
    (tmp_path / "a_grid-info.nc").write_bytes(b"")
    assert pair.grid() == tmp_path / "a_grid-info.nc" and pair.exists("a_grid-info.nc") and not pair.exists("b")
