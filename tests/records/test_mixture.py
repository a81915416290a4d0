"""The pattern in closed form against the mixed stream written out."""

from itertools import cycle, islice

import pytest
from hypothesis import given
from hypothesis import strategies as st

from subgrid.errors import SettingsError
from subgrid.records.mixture import Pattern

SHARES = st.lists(st.integers(1, 7), min_size=1, max_size=4).map(tuple)


def written(shares: tuple[int, ...], count: int) -> list[tuple[int, int]]:
    """(source, position in its own stream) of the first positions, one by one."""
    given_out = [0] * len(shares)
    found = []
    for source in islice(cycle([number for number, share in enumerate(shares) for _ in range(share)]), count):
        found.append((source, given_out[source]))
        given_out[source] += 1
    return found


def test_two_to_one_is_low_low_high() -> None:
    pattern = Pattern((2, 1))
    one_by_one = [pattern.parts(position, 1)[0] for position in range(7)]
    assert [source for source, _, _ in one_by_one] == [0, 0, 1, 0, 0, 1, 0]
    assert [first for _, first, _ in one_by_one] == [0, 1, 0, 2, 3, 1, 4]
    assert pattern.taken(10**15 + 1) == (666_666_666_666_668, 333_333_333_333_333)


@given(shares=SHARES, start=st.integers(0, 60), count=st.integers(0, 40))
def test_parts_are_those_of_the_written_out_stream(shares: tuple[int, ...], start: int, count: int) -> None:
    whole = written(shares, start + count)
    expected = sorted(whole[start:])
    found = Pattern(shares).parts(start, count)
    assert [(source, first + row) for source, first, rows in found for row in range(rows)] == expected
    sources = [source for source, _ in whole]
    assert Pattern(shares).taken(start + count) == tuple(sources.count(number) for number in range(len(shares)))


@given(shares=SHARES, start=st.integers(0, 10**12), ranks=st.integers(1, 5), share=st.integers(1, 9))
def test_ranks_cut_a_batch_into_what_it_holds(shares: tuple[int, ...], start: int, ranks: int, share: int) -> None:
    def rows(first: int, count: int) -> list[tuple[int, int]]:
        return [(source, at + row) for source, at, n in Pattern(shares).parts(first, count) for row in range(n)]

    together = [row for rank in range(ranks) for row in rows(start + rank * share, share)]
    assert sorted(together) == rows(start, ranks * share)


@pytest.mark.parametrize("shares", [(), (0,), (2, -1)])
def test_shares_that_cannot_be_are_refused(shares: tuple[int, ...]) -> None:
    with pytest.raises(SettingsError, match="a share of at least 1"):
        Pattern(shares)
