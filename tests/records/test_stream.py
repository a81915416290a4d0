"""The stream, position by position, against the order written out in plain Python."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory

import google_crc32c
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from subgrid.errors import DatasetError, SettingsError
from subgrid.records.example import Feature, RecordLayout, pack
from subgrid.records.ledger import Shard
from subgrid.records.shards import Shards
from subgrid.records.stream import Batch, Stream, StreamSettings, as_batch

LAYOUT = RecordLayout(
    (Feature("row", "<i8", 1), Feature("column", "<i4", 1), Feature("time", "<i8", 1), Feature("inputs", "<f4", 40),
     Feature("targets", "<f4", 30)),
    aligned=("inputs", "targets"),
)  # fmt: skip
Permutation = Callable[..., list[int]]


def write_shards(folder: Path, sizes: list[int]) -> Shards:
    """Shards whose rows are numbered through: row n holds n in every array."""
    shards, start = [], 0
    for index, size in enumerate(sizes):
        numbers = np.arange(start, start + size)
        wide = np.broadcast_to(numbers[:, None], (size, 40))
        arrays = {
            "row": numbers,
            "column": numbers % 7,
            "time": numbers * 1200,
            "inputs": wide,
            "targets": -wide[:, :30],
        }
        data = pack(LAYOUT, arrays).tobytes()
        name = f"training-{index:05d}.tfrecord"
        (folder / name).write_bytes(data)
        checksum = google_crc32c.value(data)
        shards.append(Shard(name=name, split="training", rows=size, bytes=len(data), crc32c=checksum))
        start += size
    return Shards(folder, shards, LAYOUT)


@pytest.fixture
def shards(tmp_path: Path) -> Shards:
    """Five shards of 67 rows in all."""
    return write_shards(tmp_path, [13, 20, 7, 1, 26])


def written_order(permuted: Permutation, sizes: list[int], seed: int, window: int, epoch: int) -> list[tuple[int, int]]:
    """(shard, row number) of an epoch: shards permuted, cut into windows, the rows of a window permuted."""
    starts = [sum(sizes[:index]) for index in range(len(sizes))]
    shards = permuted(len(sizes), seed, epoch, 0)
    order = []
    for index, first in enumerate(range(0, len(shards), window)):
        rows = [(shard, starts[shard] + row) for shard in shards[first : first + window] for row in range(sizes[shard])]
        order += [rows[place] for place in permuted(len(rows), seed, epoch, 1 + index)]
    return order


def check_batch(batch: Batch, expected: list[int]) -> None:
    """All arrays of a batch are those of these rows, in this order."""
    assert batch.row.tolist() == expected
    assert (batch.row.dtype, batch.column.dtype, batch.time.dtype) == (np.int64, np.int32, np.int64)
    assert batch.column.tolist() == [row % 7 for row in expected]
    assert batch.time.tolist() == [row * 1200 for row in expected]
    assert (batch.origin.dtype, batch.origin.shape) == (np.int8, (len(expected),))
    numbers = np.array(expected, dtype=np.float32)[:, None]
    np.testing.assert_array_equal(batch.inputs, np.broadcast_to(numbers, (len(expected), 40)))
    np.testing.assert_array_equal(batch.targets, np.broadcast_to(-numbers, (len(expected), 30)))


def rows_of(shards: Shards, settings: StreamSettings, batches: int, start: int = 0) -> list[list[int]]:
    with Stream(shards, settings, start) as stream:
        return [batch.row.tolist() for batch in islice(stream, batches)]


@dataclass(frozen=True)
class Case:
    """A small set, a stream over it, and a place to begin."""

    sizes: list[int]
    settings: dict[str, int]
    ranks: int
    start: int


@st.composite
def cases(draw: st.DrawFn) -> Case:
    ranks = draw(st.integers(1, 3))
    chosen = {"batch": ranks * draw(st.integers(1, 11)), "seed": draw(st.integers(0, 2**40)),
              "window": draw(st.integers(1, 5))}  # fmt: skip
    return Case(draw(st.lists(st.integers(1, 9), min_size=1, max_size=7)), chosen, ranks, draw(st.integers(0, 200)))


@contextmanager
def written(sizes: list[int]) -> Iterator[Shards]:
    with TemporaryDirectory() as folder:
        yield write_shards(Path(folder), sizes)


@given(case=cases())
@settings(max_examples=40)
def test_every_position_is_that_of_the_written_out_order(written_out: Permutation, case: Case) -> None:
    """Also across windows, epochs and batches that are larger than the set; every rank, from any start."""
    size = case.settings["batch"]
    share = size // case.ranks
    batches = max(2, -(-2 * sum(case.sizes) // size))
    order: list[tuple[int, int]] = []
    while len(order) < case.start + batches * size:
        epoch = len(order) // sum(case.sizes)
        order += written_order(written_out, case.sizes, case.settings["seed"], case.settings["window"], epoch)
    with written(case.sizes) as shards:
        for rank in range(case.ranks):
            chosen = StreamSettings(**case.settings, rank=rank, ranks=case.ranks)
            with Stream(shards, chosen, case.start) as stream:
                for number in range(batches):
                    first = case.start + number * size + rank * share
                    mine = sorted(order[first : first + share], key=lambda place: place[0])
                    check_batch(next(stream), [row for _, row in mine])
                    assert stream.position == case.start + (number + 1) * size


@st.composite
def mixtures(draw: st.DrawFn) -> tuple[Case, tuple[int, ...], list[list[int]]]:
    """A case whose sizes are those of the first source, the shares, and the sizes of all sources."""
    case = draw(cases())
    shares = tuple(draw(st.lists(st.integers(1, 4), min_size=2, max_size=3)))
    others = [draw(st.lists(st.integers(1, 9), min_size=1, max_size=4)) for _ in shares[1:]]
    return case, shares, [case.sizes, *others]


@given(drawn=mixtures())
@settings(max_examples=40)
def test_a_mixture_is_the_written_out_orders_dealt_by_the_pattern(
    written_out: Permutation, drawn: tuple[Case, tuple[int, ...], list[list[int]]]
) -> None:
    """Every rank from any start; source i has the order of seed + i."""
    case, shares, sizes = drawn
    batch, seed, window = (case.settings[name] for name in ("batch", "seed", "window"))
    share, batches = batch // case.ranks, 4
    end = case.start + batches * batch
    orders: list[list[tuple[int, int]]] = [[] for _ in sizes]
    for number, own in enumerate(sizes):
        while len(orders[number]) < end:
            epoch = len(orders[number]) // sum(own)
            orders[number] += written_order(written_out, own, seed + number, window, epoch)
    dealt = [iter(order) for order in orders]
    pattern = [number for number, rows in enumerate(shares) for _ in range(rows)]
    mixed = []
    for position in range(end):
        number = pattern[position % len(pattern)]
        mixed.append((number, *next(dealt[number])))
    with TemporaryDirectory() as folder:
        sources = []
        for number, own in enumerate(sizes):
            (Path(folder) / str(number)).mkdir()
            sources.append(write_shards(Path(folder) / str(number), own))
        for rank in range(case.ranks):
            chosen = StreamSettings(batch, seed, window, rank, case.ranks, shares)
            with Stream(sources[0], chosen, case.start, sources[1:]) as stream:
                for place in range(batches):
                    first = case.start + place * batch + rank * share
                    mine = sorted(mixed[first : first + share], key=lambda row: row[:2])
                    found = next(stream)
                    assert found.origin.tolist() == [number for number, _, _ in mine]
                    check_batch(found, [row for _, _, row in mine])


def test_shares_that_do_not_fit_the_sources_are_refused(shards: Shards, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"\(1,\) for 2 sources"):
        Stream(shards, StreamSettings(4), beside=[shards])
    wide = RecordLayout(
        (*LAYOUT.features[:3], Feature("inputs", "<f8", 40), Feature("targets", "<f8", 30)), ("inputs",)
    )
    with pytest.raises(SettingsError, match="store their rows alike"):
        Stream(shards, StreamSettings(4, shares=(1, 1)), beside=[Shards(tmp_path, [], wide)])


def test_ranks_partition_every_batch(shards: Shards) -> None:
    whole = rows_of(shards, StreamSettings(12, window=2), 15)
    ranks = [rows_of(shards, StreamSettings(12, window=2, rank=rank, ranks=3), 15) for rank in range(3)]
    for number, batch in enumerate(whole):
        assert sorted(batch) == sorted(row for rank in ranks for row in rank[number])
        assert all(len(rank[number]) == 4 for rank in ranks)


@pytest.mark.parametrize("start", [1, 5, 66, 67, 68, 134, 1000, 67 * 10**9 + 3])
def test_starting_anywhere_is_skipping(shards: Shards, start: int) -> None:
    """One row a batch, so that rows are told apart; the last start is far beyond what could be replayed."""
    settings = StreamSettings(1, seed=4, window=2)
    found = rows_of(shards, settings, 30, start)
    if start <= 1000:
        assert found == rows_of(shards, settings, start + 30)[start:]
    else:
        near = rows_of(shards, settings, 20, start + 10)
        assert near == found[10:] + near[20:]


def test_every_epoch_gives_each_row_once_in_another_order(shards: Shards) -> None:
    rows = [row for batch in rows_of(shards, StreamSettings(1, window=3), 3 * 67) for row in batch]
    epochs = [rows[start : start + 67] for start in (0, 67, 134)]
    assert all(sorted(epoch) == list(range(67)) for epoch in epochs)
    assert epochs[0] != epochs[1] != epochs[2] != epochs[0]


def test_a_seed_is_an_order(shards: Shards) -> None:
    one, same, other = (rows_of(shards, StreamSettings(8, seed=seed), 10) for seed in (1, 1, 2))
    assert one == same != other


def test_batches_that_are_kept_do_not_change(shards: Shards) -> None:
    """Memory is used again only when nobody refers to it, and a slice of a view is enough to refer."""
    with Stream(shards, StreamSettings(16, window=2)) as stream:
        kept = []
        for number, batch in enumerate(islice(stream, 200)):
            if number % 3 == 0:
                kept.append((batch.inputs[3:5, 7], batch.row[3:5].copy()))
            elif number % 3 == 1:
                kept.append((-batch.targets.T[0], batch.row.copy()))
            elif number % 30 == 2:
                kept.append((batch.inputs.reshape(16, 2, 20)[:, 1, 0], batch.row.copy()))
            del batch
        for values, rows in kept:
            np.testing.assert_array_equal(values, rows)


def test_tensors_of_batches_that_are_kept_do_not_change(shards: Shards) -> None:
    torch = pytest.importorskip("torch")
    with Stream(shards, StreamSettings(16, window=2)) as stream:
        kept = [(torch.from_numpy(batch.inputs)[:, 5], batch.row.copy()) for batch in islice(stream, 60)]
    for values, rows in kept:
        np.testing.assert_array_equal(values.numpy(), rows)


def test_memory_is_used_again(shards: Shards) -> None:
    """A consumer that lets go of its batches gets the same few buffers for ever."""
    with Stream(shards, StreamSettings(16, window=2)) as stream:
        places = {batch.inputs.__array_interface__["data"][0] for batch in islice(stream, 300)}
    assert len(places) <= 12


def test_batches_outlive_the_stream(shards: Shards) -> None:
    with Stream(shards, StreamSettings(16)) as stream:
        batch = next(stream)
    del stream
    check_batch(batch, batch.row.tolist())


def test_arrays_are_aligned_and_may_be_written(shards: Shards) -> None:
    """Their row axis is strided by whole elements, as torch demands; writing changes no other batch."""
    with Stream(shards, StreamSettings(5)) as stream:
        first = [next(stream) for _ in range(3)]
        for batch in first:
            for array in (batch.inputs, batch.targets):
                assert array.strides == (LAYOUT.stride, 4) and LAYOUT.stride % 64 == 0 and array.flags.writeable
                array[...] = np.nan
    again = rows_of(shards, StreamSettings(5), 3)
    assert [batch.row.tolist() for batch in first] == again
    assert not np.isnan(as_batch(LAYOUT, shards[0]).inputs).any()


def row_threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith(("rows", "order"))]


def test_closing_ends_the_threads(shards: Shards) -> None:
    before = len(row_threads())
    stream = Stream(shards, StreamSettings(4))
    next(stream)
    assert len(row_threads()) > before
    stream.close()
    assert len(row_threads()) == before
    stream.close()
    with pytest.raises(RuntimeError):
        next(stream)


def test_a_stream_that_was_never_asked_is_closed(shards: Shards) -> None:
    with Stream(shards, StreamSettings(4), start=9) as stream:
        assert stream.position == 9 and iter(stream) is stream


def test_several_streams_over_the_same_shards_do_not_meet(shards: Shards) -> None:
    with Stream(shards, StreamSettings(6, seed=1)) as one, Stream(shards, StreamSettings(9, seed=2)) as other:
        pairs = [(next(one).row.tolist(), next(other).row.tolist()) for _ in range(40)]
    assert [pair[0] for pair in pairs] == rows_of(shards, StreamSettings(6, seed=1), 40)
    assert [pair[1] for pair in pairs] == rows_of(shards, StreamSettings(9, seed=2), 40)


def test_a_damaged_shard_is_named_by_the_stream(tmp_path: Path) -> None:
    shards = write_shards(tmp_path, [5, 5, 5])
    path = tmp_path / "training-00001.tfrecord"
    data = bytearray(path.read_bytes())
    data[2 * LAYOUT.stride + 200] ^= 4
    path.write_bytes(data)
    with (
        Stream(shards, StreamSettings(15)) as stream,
        pytest.raises(DatasetError, match=r"training-00001\.tfrecord: .*row 2 is damaged"),
    ):
        next(stream)


@pytest.mark.parametrize(
    "wrong", [{"batch": 0}, {"window": 0}, {"rank": 2, "ranks": 2}, {"rank": -1}, {"ranks": 3}, {"ranks": 0}]
)
def test_settings_that_cannot_be_are_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(SettingsError, match="a stream needs batch and window of at least 1"):
        StreamSettings(**({"batch": 8} | wrong))


def test_records_as_a_batch_are_views(shards: Shards) -> None:
    batch = as_batch(LAYOUT, shards[1])
    check_batch(batch, list(range(13, 33)))
    assert np.shares_memory(batch.inputs, shards[1]) and np.shares_memory(batch.targets, shards[1])
    assert not np.shares_memory(batch.row, shards[1])
