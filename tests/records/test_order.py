"""Order in closed form against hashes and orders written out with plain integers."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from subgrid.records.order import Order, cumulative, hash_of, permutation, spread

WORD = 2**64
GAMMA = 0x9E3779B97F4A7C15

SIZES = st.lists(st.integers(0, 12), min_size=1, max_size=9).filter(any).map(tuple)


def mix(value: int) -> int:
    """SplitMix64's finaliser with Python's integers."""
    value = (value ^ value >> 30) * 0xBF58476D1CE4E5B9 % WORD
    value = (value ^ value >> 27) * 0x94D049BB133111EB % WORD
    return value ^ value >> 31


def plain_hash(*numbers: int) -> int:
    state = len(numbers)
    for number in numbers:
        state = mix((state + (number + 1) * GAMMA) % WORD)
    return state


def plain_permutation(count: int, *key: int) -> list[int]:
    start = plain_hash(*key)
    return sorted(range(count), key=lambda number: mix((number * GAMMA + start) % WORD))


def written_out(order: Order, epoch: int) -> list[tuple[int, int, int, int, int]]:
    """Window, place in it, shard in it, row, and shard of the data set for every place of an epoch."""
    shards = plain_permutation(len(order.shard_rows), order.seed, epoch, 0)
    rows = []
    for index in range(-(-len(shards) // order.window)):
        members = shards[index * order.window : (index + 1) * order.window]
        inside = [(slot, row) for slot, shard in enumerate(members) for row in range(order.shard_rows[shard])]
        for place, number in enumerate(plain_permutation(len(inside), order.seed, epoch, 1 + index)):
            slot, row = inside[number]
            rows.append((index, place, slot, row, members[slot]))
    return rows


def test_the_finaliser_is_that_of_splitmix64() -> None:
    """The generator's published first outputs for the seed 1234567 are the mixed multiples of gamma."""
    expected = [6457827717110365317, 3203168211198807973, 9817491932198370423, 4593380528125082431]
    assert [mix((1234567 + (step + 1) * GAMMA) % WORD) for step in range(4)] == expected


@given(st.lists(st.integers(-(2**70), 2**70), max_size=5))
def test_hashes_are_those_of_plain_integers(numbers: list[int]) -> None:
    assert hash_of(*numbers) == plain_hash(*numbers)


def test_hashes_tell_sequences_apart() -> None:
    keys = [(), (0,), (0, 0), (0, 0, 0), (1,), (1, 0), (0, 1), (-1,), *((2, number) for number in range(1000))]
    assert len({hash_of(*key) for key in keys}) == len(keys)


@given(st.integers(0, 500), st.lists(st.integers(-(2**40), 2**40), max_size=4))
def test_a_permutation_is_one_and_the_plain_one(count: int, key: list[int]) -> None:
    found = permutation(count, *key)
    assert found.dtype == np.int64 and sorted(found.tolist()) == list(range(count))
    assert found.tolist() == plain_permutation(count, *key)


def test_permutations_stay_what_they_are() -> None:
    """Data sets on disk and runs that are resumed depend on these numbers."""
    assert permutation(10, 0).tolist() == [3, 9, 5, 8, 1, 7, 6, 4, 0, 2]
    assert permutation(10, 7, 3).tolist() == [6, 5, 8, 9, 2, 4, 0, 3, 1, 7]
    assert (hash_of(0), hash_of(1, 2, 3)) == (0x910A2DEC89025CC1, 0x78D73342CA1A11BB)


def test_permutations_spread_numbers_evenly() -> None:
    """Where the first of 8 numbers lands over many keys: chi squared with 7 degrees of freedom, p = 1e-5 at 36."""
    places = [int(np.argmin(permutation(8, seed))) for seed in range(2000)]
    counts = np.bincount(places, minlength=8)
    assert ((counts - 250) ** 2 / 250).sum() < 36


def test_every_permutation_of_four_comes_up() -> None:
    assert len({tuple(permutation(4, seed).tolist()) for seed in range(400)}) == 24


@given(SIZES, st.integers(0, 2**32), st.integers(1, 12), st.integers(0, 3))
@settings(max_examples=50)
def test_windows_give_the_order_written_out(sizes: tuple[int, ...], seed: int, window: int, epoch: int) -> None:
    order = Order(sizes, seed, window)
    found = []
    for index, one in enumerate(order.windows(epoch)):
        shard, row = one.order()
        assert (shard.dtype, row.dtype) == (np.int32, np.int32) and shard.size == one.rows
        found += [
            (index, place, int(slot), int(number), one.shards[slot])
            for place, (slot, number) in enumerate(zip(shard, row, strict=True))
        ]
    assert found == written_out(order, epoch)
    assert sorted((shard, row) for *_, row, shard in found) == [
        (shard, row) for shard, size in enumerate(sizes) for row in range(size)
    ]


@given(SIZES, st.integers(0, 99), st.integers(1, 5))
@settings(max_examples=50)
def test_locate_finds_every_position_of_the_stream(sizes: tuple[int, ...], seed: int, window: int) -> None:
    order = Order(sizes, seed, window)
    stream = [(epoch, index, place) for epoch in range(2) for index, place, *_ in written_out(order, epoch)]
    assert len(stream) == 2 * order.rows
    assert [order.locate(position) for position in range(len(stream))] == stream


def test_a_far_position_is_found_without_those_before_it() -> None:
    order = Order((3, 4, 5), 1, 2)
    epoch, index, place = order.locate(12 * 10**12 + 7)
    assert epoch == 10**12
    assert (index, place) == [entry[:2] for entry in written_out(order, epoch)][7]


def test_epochs_and_seeds_differ() -> None:
    one = Order((50, 50), 1, 2)
    orders = [one.windows(0)[0], one.windows(1)[0], Order((50, 50), 2, 2).windows(0)[0]]
    assert len({tuple(map(tuple, map(np.ndarray.tolist, window.order()))) for window in orders}) == 3


@given(st.integers(0, 10**9), st.integers(1, 60))
def test_things_are_spread_evenly(total: int, parts: int) -> None:
    shares = [spread(total, parts, part) for part in range(parts)]
    assert sum(shares) == total and max(shares) - min(shares) <= 1 and min(shares) >= 0


@pytest.mark.parametrize(("sizes", "expected"), [([], [0]), ([3], [0, 3]), ([2, 0, 5], [0, 2, 2, 7])])
def test_starts_of_runs(sizes: list[int], expected: list[int]) -> None:
    found = cumulative(sizes)
    assert found.tolist() == expected and found.dtype == np.int64
