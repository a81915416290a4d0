"""A draw takes as many steps as it says, none twice, over the whole period, and always the same."""

from collections.abc import Callable

import pytest

from subgrid.errors import SettingsError
from subgrid.records.draws import Draw
from subgrid.records.plan import Part, Plan, Wanted, make_groups
from subgrid.source.steps import Choice, Step

STEPS = [Step(1200 * number, f"mli-{number}", "" if number % 10 == 3 else f"mlo-{number}") for number in range(3000)]


def test_a_draw_is_read_and_written() -> None:
    draw = Draw.parse("44x5x100")
    assert draw == Draw(44, 5, 100) and draw.count == 22_000 and str(draw) == "44x5x100"
    for text in ("44x5", "0x1x1", "44*5*100", "44x5x100x2", ""):
        with pytest.raises(SettingsError, match="expected parts x batches x steps, as in 44x5x100"):
            Draw.parse(text)


def test_steps_are_those_of_the_documented_permutation(written_out: Callable[..., list[int]]) -> None:
    complete = [step for step in STEPS if step.mlo]
    found = Draw(4, 3, 10).of(STEPS, 7)
    assert found == [complete[place] for place in sorted(written_out(len(complete), 3, 7)[:120])]
    assert len(set(found)) == 120 and found != Draw(4, 3, 10).of(STEPS, 8)
    assert {step.time // 1200 // 300 for step in found} == set(range(10)), "every tenth of the period"


def test_too_few_steps_are_refused() -> None:
    assert len(Draw(27, 10, 10).of(STEPS, 0)) == 2700
    with pytest.raises(SettingsError, match="draw 28x10x10: 2,800 steps .* the source has 2,700 complete ones"):
        Draw(28, 10, 10).of(STEPS, 0)


def test_a_draw_is_made_of_the_chosen_steps() -> None:
    wanted = Wanted(Choice(stride=2), Draw(1, 2, 5))
    assert all(step.time // 1200 % 2 == 0 for step in wanted.of(STEPS, 0))
    assert wanted.described(3) == "1x2x5 with seed 3" and Wanted().described(3) == ""
    assert Wanted().of(STEPS, 0) == STEPS


def test_every_part_of_a_draw_has_its_batches_over_the_whole_period() -> None:
    """The winner's 44 x 5 x 100 of the 210,240 high-resolution steps; a batch is a group of 100 steps."""
    steps = [Step(1200 * number, "mli", "mlo") for number in range(210_240)]
    labels = tuple(step.label for step in Draw.parse("44x5x100").of(steps, 0))
    groups = make_groups(Plan(labels, ()), 21_600 * 3968, 64_000_000, span=100)
    assert len(groups) == 220 and {len(group.steps) for group in groups} == {100}
    for index in (1, 17, 44):
        part = Part(index, 44).of(groups)
        assert len(part) == 5
        assert all({label[:4] for label in group.steps} == {f"{year:04d}" for year in range(1, 9)} for group in part)
    assert len({label for group in groups for label in group.steps}) == 22_000
