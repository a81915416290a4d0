"""Our reader of classic netCDF against netCDF4, and against headers built byte by byte from the specification."""

import struct
from pathlib import Path

import netCDF4
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from subgrid.errors import InputError
from subgrid.source.cdf5 import Entry, Header, HeaderReader, UnsupportedError, parse_header, view

FORMATS = {"NETCDF3_CLASSIC": 1, "NETCDF3_64BIT_OFFSET": 2, "NETCDF3_64BIT_DATA": 5}
CLASSIC_TYPES = ("i1", "S1", "i2", "i4", "f4", "f8")
WIDE_TYPES = (*CLASSIC_TYPES, "u1", "u2", "u4", "i8", "u8")


def load(path: Path) -> np.ndarray:
    return np.fromfile(path, dtype=np.uint8)


def equal_bits(data: np.ndarray, path: Path, reader: HeaderReader | None = None) -> Header:
    """Every variable, to the bit, as netCDF4 gives it."""
    header = (reader or HeaderReader()).read(data)
    with netCDF4.Dataset(path) as file:
        file.set_auto_maskandscale(False)
        file.set_auto_chartostring(False)
        assert list(header.variables) == list(file.variables)
        for name, item in file.variables.items():
            expected = np.asarray(item[...])
            found = view(data, header.variables[name])
            assert found.shape == expected.shape and found.dtype.kind == expected.dtype.kind
            assert found.astype(expected.dtype).tobytes() == expected.tobytes(), name
    return header


def test_every_real_file_equals_what_netcdf4_reads(real_source: Path) -> None:
    paths = sorted(real_source.glob("train/*/*.nc"))
    assert len(paths) == 121
    readers = {"mli": HeaderReader(), "mlo": HeaderReader()}
    for path in paths:
        header = equal_bits(load(path), path, readers[path.name.split(".")[1]])
        assert header.version == 5 and header.size == path.stat().st_size


@st.composite
def small_files(draw: st.DrawFn) -> tuple[str, dict[str, int], dict[str, tuple[str, tuple[str, ...]]]]:
    kind = draw(st.sampled_from(list(FORMATS)))
    sizes = {f"d{place}": draw(st.integers(1, 5)) for place in range(draw(st.integers(0, 4)))}
    types = WIDE_TYPES if kind == "NETCDF3_64BIT_DATA" else CLASSIC_TYPES
    dimensions = st.lists(st.sampled_from(list(sizes)), max_size=3).map(tuple) if sizes else st.just(())
    names = draw(st.lists(st.from_regex(r"[a-z][a-z0-9_]{0,8}", fullmatch=True), min_size=1, max_size=5, unique=True))
    return kind, sizes, {name: (draw(st.sampled_from(types)), draw(dimensions)) for name in names}


@given(small_files(), st.text(max_size=9), st.integers(0, 2**32))
@settings(max_examples=30)
def test_any_classic_file_equals_what_netcdf4_reads(tmp_path_factory, file, text, seed) -> None:  # type: ignore[no-untyped-def]
    kind, sizes, variables = file
    path = tmp_path_factory.getbasetemp() / "any.nc"
    random = np.random.default_rng(seed)
    with netCDF4.Dataset(path, "w", format=kind) as dataset:
        dataset.history = "x" + text.replace("\0", "")
        for name, size in sizes.items():
            dataset.createDimension(name, size)
        for name, (dtype, dimensions) in variables.items():
            entry = dataset.createVariable(name, dtype, dimensions)
            entry.number = np.float64(1.5)
            values = random.integers(0, 100, entry.shape)
            entry[...] = values.astype("u1").view("S1") if dtype == "S1" else values.astype(dtype)
    data = load(path)
    equal_bits(data, path)
    assert parse_header(data.tobytes()).version == FORMATS[kind]


@pytest.fixture
def step(tmp_path: Path) -> Path:
    """A small file like those of a step; its last variable ends with the file."""
    path = tmp_path / "step.nc"
    with netCDF4.Dataset(path, "w", format="NETCDF3_64BIT_DATA") as file:
        file.createDimension("ncol", 7)
        file.createDimension("lev", 3)
        entries = [file.createVariable(name, "f8", ("lev", "ncol")) for name in ("state_t", "state_q0001")]
        file.createVariable("ymd", "i4", ())[...] = 80201
        entries += [file.createVariable("state_ps", "f8", ("ncol",))]
        for seed, entry in enumerate(entries):
            entry[...] = np.random.default_rng(seed).normal(size=entry.shape)
    return path


def test_a_small_step(step: Path) -> None:
    equal_bits(load(step), step)


def test_a_file_cut_anywhere_is_refused(step: Path) -> None:
    data = load(step)
    header = parse_header(data.tobytes())
    known = HeaderReader()
    known.read(data)
    for size in range(4, data.size):
        expected = "ends inside its header" if size < header.length else rf"cut short: .* {data.size} bytes.* {size}$"
        for reader in (HeaderReader(), known):
            with pytest.raises(InputError, match=expected):
                reader.read(data[:size])


def test_a_file_that_is_too_long_is_refused(step: Path) -> None:
    data = load(step)
    HeaderReader().read(np.concatenate([data, np.zeros(3, dtype=np.uint8)]))
    with pytest.raises(InputError, match=f"too long: its header implies {data.size} bytes, it has {data.size + 4}"):
        HeaderReader().read(np.concatenate([data, np.zeros(4, dtype=np.uint8)]))


def test_a_reader_notices_another_header(step: Path, tmp_path: Path) -> None:
    reader, one = HeaderReader(), load(step)
    first = reader.read(one)
    assert reader.read(one.copy()) is first
    renamed = one.tobytes().replace(b"state_ps", b"state_pp")
    assert list(reader.read(np.frombuffer(renamed, dtype=np.uint8)).variables)[-1] == "state_pp"
    assert list(reader.read(one).variables) == list(first.variables)


def test_a_header_longer_than_the_first_look_is_read_whole(tmp_path: Path) -> None:
    """Tools such as nco append to a history without end."""
    path = tmp_path / "long.nc"
    with netCDF4.Dataset(path, "w", format="NETCDF3_64BIT_DATA") as file:
        file.history = "ncks again\n" * 4000
        file.createDimension("ncol", 5)
        file.createVariable("state_ps", "f8", ("ncol",))[...] = np.arange(5)
    data = load(path)[
        : parse_header(path.read_bytes()).size
    ]  # netCDF-C leaves a few kilobytes behind the last variable
    assert equal_bits(data, path).length > 44_000
    with pytest.raises(InputError, match="ends inside its header"):
        HeaderReader().read(data[:20_000])


def test_what_another_reader_must_open(tmp_path: Path) -> None:
    for data in (b"", b"CDF", b"CDF\x03" + bytes(99), b"CDF\x00", b"\x89HDF\r\n\x1a\n", b"hello world"):
        with pytest.raises(UnsupportedError):
            HeaderReader().read(np.frombuffer(data, dtype=np.uint8))
    path = tmp_path / "records.nc"
    with netCDF4.Dataset(path, "w", format="NETCDF3_CLASSIC") as file:
        file.createDimension("time", None)
        file.createVariable("x", "f8", ("time",))[:] = np.arange(3)
    with pytest.raises(UnsupportedError):
        HeaderReader().read(load(path))


def word(*numbers: int) -> bytes:
    return b"".join(struct.pack(">q", number) for number in numbers)


def tag(number: int) -> bytes:
    return struct.pack(">i", number)


def text(name: str) -> bytes:
    return word(len(name)) + name.encode() + bytes(-len(name) % 4)


def built(dimension: int = 0, dtype: int = 6, variables_tag: int = 11) -> bytes:
    """A CDF-5 header of one dimension (6) and one variable, as the specification's grammar has it."""
    dimensions = tag(10) + word(1) + text("ncol") + word(6)
    attributes = tag(12) + word(1) + text("title") + tag(2) + word(3) + b"abc\0"
    variable = text("ps") + word(1, dimension) + tag(0) + word(0) + tag(dtype) + word(48, 1000)
    return b"CDF\x05" + word(0) + dimensions + attributes + tag(variables_tag) + word(1) + variable


def test_a_header_built_by_hand() -> None:
    header = parse_header(built() + bytes(2000))
    assert header.variables == {"ps": Entry(np.dtype(">f8"), (6,), 1000)}
    assert (header.version, header.length, header.size) == (5, len(built()), 1048)
    assert header.variables["ps"].end == 1048


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        ({"dimension": 1}, "damaged: ps has a dimension that is not there"),
        ({"dimension": -1}, "damaged: ps has a dimension that is not there"),
        ({"dtype": 12}, "damaged: unknown type 12"),
        ({"variables_tag": 10}, "damaged: expected list 0xb or none, found 0xa"),
    ],
)
def test_damaged_headers_are_refused(damage: dict[str, int], message: str) -> None:
    with pytest.raises(InputError, match=message):
        parse_header(built(**damage))


@given(st.data())
@settings(max_examples=200)
def test_noise_in_a_header_is_never_a_traceback(data: st.DataObject) -> None:
    content = bytearray(built() + bytes(2000))
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(built()) - 1))] = data.draw(st.integers(0, 255))
    content = content[: data.draw(st.integers(0, len(content)))]
    raw = np.frombuffer(bytes(content), dtype=np.uint8)
    try:
        header = HeaderReader().read(raw)
    except (InputError, UnsupportedError):
        return
    for entry in header.variables.values():
        view(raw, entry)
