"""Rows as tf.train.Example: parsed by a reader of the wire format written here, from its specification."""

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from subgrid.errors import DatasetError
from subgrid.records.blueprint import dataset_layout
from subgrid.records.example import ALIGNMENT, Feature, RecordLayout, pack
from subgrid.records.framing import FOOTER, HEADER, frame, records
from subgrid.schema.variable_sets import VARIABLE_SETS

LAYOUTS = [(name, float64) for name in VARIABLE_SETS for float64 in (False, True)]
SMALL = RecordLayout(
    (
        Feature("row", "<i8", 1),
        Feature("column", "<i4", 1),
        Feature("inputs", "<f4", 30),
        Feature("targets", "<f8", 25),
    ),
    aligned=("inputs", "targets"),
)


def varint(data: bytes) -> tuple[int, bytes]:
    """A base-128 number at the beginning of data, least significant group first, and what follows it."""
    length = next(place for place, byte in enumerate(data) if byte < 128) + 1
    return sum((byte & 127) << 7 * place for place, byte in enumerate(data[:length])), data[length:]


def message(data: bytes) -> list[tuple[int, bytes]]:
    """Fields (number, content) of a message that has length-delimited ones only."""
    found = []
    while data:
        tag, data = varint(data)
        assert tag % 8 == 2
        length, data = varint(data)
        assert length <= len(data)
        found.append((tag // 8, data[:length]))
        data = data[length:]
    return found


def parse_example(content: bytes) -> dict[str, bytes]:
    """Values by name of a tf.train.Example whose features are bytes lists of one value each."""
    ((one, features),) = message(content)
    assert one == 1
    values = {}
    for number, entry in message(features):
        (key_number, key), (feature_number, feature) = message(entry)
        ((kind, bytes_list),) = message(feature)
        ((value_number, value),) = message(bytes_list)
        assert (number, key_number, feature_number, kind, value_number) == (1, 1, 2, 1, 1)
        assert key.decode() not in values
        values[key.decode()] = value
    return values


def arrays_of(layout: RecordLayout, rows: int, seed: int = 0) -> dict[str, np.ndarray]:
    """Random bits for every feature."""
    random = np.random.default_rng(seed)
    return {
        feature.name: random.integers(0, 256, (rows, feature.bytes), dtype=np.uint8).view(feature.dtype)
        for feature in layout.features
    }


def bits(array: np.ndarray) -> bytes:
    return np.ascontiguousarray(array).tobytes()


@st.composite
def layouts(draw: st.DrawFn) -> RecordLayout:
    names = draw(st.lists(st.text("abcdefgh_", min_size=1, max_size=12), min_size=1, max_size=6, unique=True))
    dtypes = st.sampled_from(["<f4", "<f8", "<i4", "<i8", "|u1"])
    features = tuple(Feature(name, draw(dtypes), draw(st.integers(1, 400))) for name in names)
    return RecordLayout(features, tuple(names[-draw(st.integers(0, min(2, len(names)))) :]))


@pytest.mark.parametrize(("name", "float64"), LAYOUTS)
def test_records_of_every_set_are_aligned(name: str, float64: bool) -> None:
    layout = dataset_layout(VARIABLE_SETS[name], float64)
    size = sum(feature.bytes for feature in layout.features)
    assert layout.stride % 64 == 0 and size < layout.stride < size + 6 * 64
    assert layout.offsets["inputs"] % 64 == 0 and layout.offsets["targets"] % 64 == 0
    assert [feature.name for feature in layout.features] == ["row", "column", "time", "inputs", "targets"]


@pytest.mark.parametrize(
    ("name", "float64", "stride"),
    [("kaggle", False, 3968), ("kaggle", True, 7680)],
)
def test_strides_stay_what_they_are(name: str, float64: bool, stride: int) -> None:
    """Data sets on disk depend on them."""
    assert dataset_layout(VARIABLE_SETS[name], float64).stride == stride


@pytest.mark.parametrize(("name", "float64"), LAYOUTS)
def test_an_independent_parser_finds_every_array(name: str, float64: bool) -> None:
    layout = dataset_layout(VARIABLE_SETS[name], float64)
    arrays = arrays_of(layout, rows=3)
    shard = pack(layout, arrays)
    assert shard.shape == (3, layout.stride)
    for row, content in enumerate(records(shard.reshape(-1), "shard")):
        values = parse_example(content.tobytes())
        assert {key for key in values if not key.startswith("pad")} == set(arrays)
        for feature in layout.features:
            assert values[feature.name] == bits(arrays[feature.name][row])
            start = layout.offsets[feature.name]
            assert shard[row, start : start + feature.bytes].tobytes() == values[feature.name]


@given(layouts(), st.integers(1, 4), st.integers(0, 99))
@settings(max_examples=60)
def test_any_layout_survives_the_round_trip(layout: RecordLayout, rows: int, seed: int) -> None:
    try:
        assert layout.stride % ALIGNMENT == 0
    except DatasetError:
        assume(False)
    arrays = arrays_of(layout, rows, seed)
    shard = pack(layout, arrays)
    assert all(layout.offsets[name] % ALIGNMENT == 0 for name in layout.aligned)
    assert layout.bad_rows(shard) == []
    layout.check(shard[0], "shard")
    contents = [content.tobytes() for content in records(shard.reshape(-1), "shard")]
    assert len(contents) == rows
    for row, content in enumerate(contents):
        values = parse_example(content)
        assert frame(content) == shard[row].tobytes()
        for name, view in layout.views(shard).items():
            assert bits(view[row]) == values[name] == bits(arrays[name][row])


@given(st.integers(1, 40_000))
@settings(max_examples=60)
def test_a_row_has_a_fixed_layout_or_is_refused_by_its_size(width: int) -> None:
    layout = RecordLayout((Feature("row", "<i8", 1), Feature("inputs", "|u1", width)), ("inputs",))
    try:
        stride = layout.stride
    except DatasetError as error:
        assert "has no fixed record layout" in str(error)
        assert width + 8 < 128 or 128**2 - 512 < width + 8 < 128**2
    else:
        content = pack(layout, arrays_of(layout, 1))[0]
        assert content.size == stride and layout.offsets["inputs"] % 64 == 0
        assert len(parse_example(content[HEADER:-FOOTER].tobytes())["inputs"]) == width


def test_views_share_memory_with_records_and_may_be_read_only() -> None:
    shard = pack(SMALL, arrays_of(SMALL, 5))
    views = SMALL.views(shard)
    views["inputs"][2] = np.arange(30)
    start = SMALL.offsets["inputs"]
    assert shard[2, start : start + 120].tobytes() == np.arange(30, dtype="<f4").tobytes()
    assert views["inputs"].strides == (SMALL.stride, 4) and np.shares_memory(views["targets"], shard)
    frozen = np.frombuffer(shard.tobytes(), dtype=np.uint8).reshape(shard.shape)
    assert not SMALL.views(frozen)["row"].flags.writeable
    assert bits(SMALL.views(frozen)["targets"]) == bits(views["targets"])


def test_bad_rows_are_those_with_a_changed_byte() -> None:
    shard = pack(SMALL, arrays_of(SMALL, 6))
    for row, place in ((1, 0), (2, HEADER - 1), (4, SMALL.offsets["inputs"]), (5, SMALL.stride - 1)):
        shard[row, place] ^= 1
    assert SMALL.bad_rows(shard) == [1, 2, 4, 5]
    SMALL.seal(shard)
    assert SMALL.bad_rows(shard) == [1, 2]  # sealing mends the checksum of the content, not the frame


def test_a_blank_record_holds_zeros_and_needs_a_seal() -> None:
    blank = SMALL.blank(2)
    assert all((view == 0).all() for view in SMALL.views(blank).values())
    assert SMALL.bad_rows(blank) == [0, 1]
    SMALL.seal(blank)
    assert SMALL.bad_rows(blank) == []


def test_a_record_of_another_layout_is_refused() -> None:
    row, column, inputs, targets = SMALL.features
    swapped = RecordLayout((column, row, inputs, targets), SMALL.aligned)
    assert swapped.stride == SMALL.stride
    with pytest.raises(DatasetError, match=r"^shard 3: the manifest places the arrays at .* the first record has them"):
        SMALL.check(pack(swapped, arrays_of(swapped, 1))[0], "shard 3")
    larger = RecordLayout((row, column, Feature("inputs", "<f4", 50), targets), SMALL.aligned)
    with pytest.raises(DatasetError, match=r"^shard 3: "):
        SMALL.check(pack(larger, arrays_of(larger, 1))[0], "shard 3")


@pytest.mark.parametrize("content", [b"", b"\x12\x00", b"\x0a\x02\x0a\x00", b"\x08\x01", b"\x0a\x7f", b"\xff" * 40])
def test_a_record_that_is_no_example_is_refused(content: bytes) -> None:
    record = np.zeros(SMALL.stride, dtype=np.uint8)
    record[HEADER : HEADER + len(content)] = np.frombuffer(content, dtype=np.uint8)
    with pytest.raises(DatasetError, match="not a tf.train.Example of the manifest"):
        SMALL.check(record, "shard")


@given(st.data())
def test_a_damaged_record_is_refused_in_words_if_at_all(data: st.DataObject) -> None:
    """Only places are compared here: damage elsewhere is found by the checksum."""
    record = SMALL.blank(1)[0]
    for _ in range(data.draw(st.integers(1, 3))):
        record[data.draw(st.integers(0, SMALL.stride - 1))] = data.draw(st.integers(0, 255))
    try:
        SMALL.check(record, "shard")
    except DatasetError as error:
        assert str(error).startswith("shard: ")
