"""Writing: whole files or none, the same bits however often it was stopped."""

import subprocess
import sys
from pathlib import Path

import netCDF4
import numpy as np
import pytest
from pydantic import ValidationError

from subgrid.errors import DatasetError, InputError, SubgridError
from subgrid.schema.grid import Grid
from subgrid.source.synthetic import (
    Boundary,
    State,
    SyntheticSettings,
    World,
    fibonacci_grid,
    forcing,
    physics,
    write_climate,
)
from subgrid.source.synthetic import files as files_module

from .conftest import pairs_below, read

SMALL = SyntheticSettings(steps=4, columns=12, spin_up=2)


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("climate") / "out"
    write_climate(out, SMALL)
    return out


def test_layout_and_names(written: Path) -> None:
    assert list(contents(written))[:3] == [".lock", "synthetic.json", "synthetic_grid-info.nc"]
    assert len(pairs_below(written)) == 4
    assert (written / "train/0001-02/E3SM-MMF.mli.0001-02-01-00000.nc").exists()
    assert Grid.read(written / "synthetic_grid-info.nc").digest == fibonacci_grid(12).digest


def test_files_say_that_they_are_synthetic(written: Path) -> None:
    for path in written.glob("train/*/*.nc"):
        with netCDF4.Dataset(path) as file:
            assert file.title.startswith("synthetic: made up by subgrid") and file.seed == 0
            assert file.source.startswith("subgrid ")


def test_middle_pressures_follow_from_the_grid(written: Path) -> None:
    grid = Grid.read(written / "synthetic_grid-info.nc")
    step = read(pairs_below(written)[0][0])
    expected = 1e5 * grid.hyam + step["state_ps"][:, None] * grid.hybm
    np.testing.assert_allclose(step["state_pmid"], expected, rtol=1e-14)


def test_physics_of_the_mli_is_the_mlo(written: Path) -> None:
    mli, mlo = (read(path) for path in pairs_below(written)[2])
    after, outputs = physics(State.of(mli), Boundary.of(mli), fibonacci_grid(12))
    for name, values in (after.variables() | outputs.variables()).items():
        np.testing.assert_array_equal(values, mlo[name], err_msg=name)


@pytest.mark.parametrize("stride", [1, 437])
def test_stopped_anywhere_and_started_again_gives_the_same_bytes(tmp_path: Path, stride: int) -> None:
    settings = SMALL.model_copy(update={"stride": stride})
    write_climate(tmp_path / "whole", settings)

    def stop(done: int, _: int) -> None:
        raise KeyboardInterrupt

    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            write_climate(tmp_path / "stopped", settings, stop)
        (tmp_path / "stopped" / "train" / "0001-02" / "E3SM-MMF.mlo.0001-02-01-00000.nc").unlink()
    write_climate(tmp_path / "stopped", settings)
    assert contents(tmp_path / "stopped") == contents(tmp_path / "whole")


def test_steps_that_follow_one_another_are_one_run(tmp_path: Path) -> None:
    write_climate(tmp_path / "run", SMALL.model_copy(update={"stride": 1}))
    (_, first), (second, _) = pairs_below(tmp_path / "run")[:2]
    world = World.make(fibonacci_grid(12), 0)
    after = State.of(read(first) | {"state_ps": np.zeros(12)})
    expected = forcing(world, after, 31 * 86_400)
    for name, values in expected.variables().items():
        np.testing.assert_array_equal(read(second)[name], values, err_msg=name)


def test_a_write_that_fails_leaves_no_file_of_that_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(path: Path, *_: object) -> None:
        path.write_bytes(b"CDF\x05 half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(files_module, "write_step", fail)
    with pytest.raises(SubgridError, match=r"out: cannot be written \(No space left.*whole steps are kept"):
        write_climate(tmp_path / "out", SMALL)
    assert not list((tmp_path / "out").rglob("*.mli.*.nc")) and not list((tmp_path / "out").rglob("*.mlo.*.nc"))


def test_a_full_disk_is_an_ordinary_error_and_the_run_goes_on_later(tmp_path: Path) -> None:
    settings = SMALL.model_copy(update={"steps": 2, "columns": 24})
    script = (
        "import resource, sys\n"
        "from subgrid.errors import SubgridError\n"
        "from subgrid.source.synthetic import SyntheticSettings, write_climate\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))\n"
        "try:\n"
        "    write_climate(sys.argv[1], SyntheticSettings.model_validate_json(sys.argv[2]))\n"
        "except SubgridError:\n"
        "    sys.exit(28)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path / "out"), settings.model_dump_json()], check=False
    )
    assert done.returncode == 28
    assert not pairs_below(tmp_path / "out")
    write_climate(tmp_path / "out", settings)
    assert len(pairs_below(tmp_path / "out")) == 2


def test_more_steps_extend_a_folder_and_nothing_is_made_twice(tmp_path: Path) -> None:
    write_climate(tmp_path / "out", SMALL.model_copy(update={"steps": 2}))
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "out").glob("train/*/*.nc")}
    write_climate(tmp_path / "out", SMALL)
    assert all(path.stat().st_mtime_ns == time for path, time in before.items())
    assert len(pairs_below(tmp_path / "out")) == 4


def test_other_settings_or_other_contents_are_refused(written: Path, tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="seed differ"):
        write_climate(written, SMALL.model_copy(update={"seed": 1}))
    (tmp_path / "mine.txt").write_text("keep me")
    with pytest.raises(DatasetError, match="is not empty"):
        write_climate(tmp_path, SMALL)


def test_missing_outputs_on_request(tmp_path: Path) -> None:
    write_climate(tmp_path / "out", SMALL.model_copy(update={"missing_mlo": 2}))
    assert len(list((tmp_path / "out").rglob("*.mli.*.nc"))) == 4 and len(pairs_below(tmp_path / "out")) == 2


def test_a_given_grid_is_used(tmp_path: Path) -> None:
    grid = fibonacci_grid(7)
    grid.write(tmp_path / "grid.nc")
    write_climate(tmp_path / "out", SMALL.model_copy(update={"grid": tmp_path / "grid.nc", "steps": 1}))
    assert read(pairs_below(tmp_path / "out")[0][0])["state_t"].shape == (7, 60)
    with pytest.raises(InputError):
        write_climate(tmp_path / "other", SMALL.model_copy(update={"grid": tmp_path / "none.nc"}))


def test_a_sample_covers_the_day_and_the_year() -> None:
    times = np.array(SyntheticSettings().times())
    assert len(np.unique(times % 86_400)) > 50
    assert len(np.unique(times // (30 * 86_400))) >= 12


def test_settings_are_strict() -> None:
    with pytest.raises(ValidationError):
        SyntheticSettings(step=3)
    with pytest.raises(ValidationError):
        SyntheticSettings(steps=0)
    with pytest.raises(ValidationError, match="missing_mlo must not exceed steps"):
        SyntheticSettings(steps=2, missing_mlo=3)
