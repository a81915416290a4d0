"""Peculiarities of ClimSim's files that every reader must survive: the made-up files have them as the real ones do."""

from pathlib import Path

import netCDF4
import numpy as np
import pytest

from subgrid.schema.variables import TABLE

ALOFT = slice(0, 12)


def test_files_are_cdf5_with_big_endian_doubles_and_two_integer_scalars(source: Path) -> None:
    path = sorted(source.glob("train/*/*.mli.*.nc"))[0]
    assert path.read_bytes()[:4] == b"CDF\x05"
    with netCDF4.Dataset(path) as file:
        assert file.data_model == "NETCDF3_64BIT_DATA" and file.calendar == "NO_LEAP"
        assert file["ymd"].dtype == file["tod"].dtype == np.int32 and file["ymd"].ndim == 0
        date, time = path.name[:-3].split(".")[-1].rsplit("-", 1)
        assert int(file["ymd"][...]) == int(date.replace("-", "")) and int(file["tod"][...]) == int(time)
        assert {item.dtype for name, item in file.variables.items() if name not in ("ymd", "tod")} == {np.dtype("f8")}
        last = list(file.variables)[-1]
        expected = np.asarray(file[last][...]).astype(">f8").tobytes()
    assert expected in path.read_bytes()


def test_variables_stand_in_the_same_order_with_the_same_dimensions(real_source: Path, synthetic_source: Path) -> None:
    for kind in ("mli", "mlo"):
        layouts = []
        for source in (real_source, synthetic_source):
            with netCDF4.Dataset(sorted(source.glob(f"train/*/*.{kind}.*.nc"))[0]) as file:
                layouts.append([(name, item.dtype, item.dimensions) for name, item in file.variables.items()])
        assert layouts[0] == layouts[1]


def test_one_step_lacks_its_mlo(source: Path) -> None:
    inputs = {path.name.replace(".mli.", ".mlo.") for path in source.glob("train/*/*.mli.*.nc")}
    assert len(inputs - {path.name for path in source.glob("train/*/*.mlo.*.nc")}) == 1


@pytest.mark.parametrize("gas", ["pbuf_CH4", "pbuf_N2O"])
def test_methane_and_nitrous_oxide_are_exactly_constant_from_level_27_down(steps, gas: str) -> None:
    values = steps.before[gas].reshape(-1, 60)
    assert (values[:, 27:] == values[0, 27]).all()
    assert (np.ptp(values[:, :27], axis=0) > 0).all()


def test_cloud_water_spans_hundreds_of_binary_orders_and_is_zero_in_a_fifth(steps) -> None:
    liquid = steps.before["state_q0002"]
    assert 0.1 < np.mean(liquid == 0) < 0.3
    assert 1e-60 < liquid[liquid > 0].min() < 1e-55
    assert 1e-4 < liquid.max() < 1e-2


@pytest.mark.parametrize("name", ["state_q0002", "state_q0003", "state_u", "state_v"])
def test_physics_leaves_cloud_and_winds_alone_at_levels_0_to_11(steps, name: str) -> None:
    tendency = steps.tendency(name)
    assert (tendency[..., ALOFT] == 0).all()
    assert (tendency[..., 28:] != 0).any(axis=(0, 1)).all()


def test_vapour_changes_at_levels_0_to_11_by_nothing_but_traces_at_the_top_three(steps) -> None:
    tendency = steps.tendency("state_q0001")
    assert np.abs(tendency[..., :3]).max() <= 3e-14
    assert (tendency[..., 3:12] == 0).all()


def test_temperature_changes_everywhere(steps) -> None:
    assert (steps.tendency("state_t") != 0).all()


def test_cloud_water_at_levels_12_to_27_is_gone_in_one_step_to_the_bit(steps) -> None:
    levels = slice(12, 28)
    expected = -steps.before["state_q0002"][..., levels] / 1200.0
    np.testing.assert_array_equal(steps.tendency("state_q0002")[..., levels], expected)


def test_snow_on_ice_is_fill_exactly_where_there_is_no_sea_ice(steps) -> None:
    snow, ice = steps.before["cam_in_SNOWHICE"], steps.before["cam_in_ICEFRAC"]
    assert ((snow >= 1e29) == (ice == 0)).all() and (snow[snow >= 1e29] == 1e30).all()
    assert 0.8 < np.mean(snow == 1e30) < 0.97


def test_surface_fractions_add_to_one(steps) -> None:
    total = sum(steps.before[f"cam_in_{name}FRAC"] for name in ("LAND", "OCN", "ICE"))
    np.testing.assert_allclose(total, 1.0, rtol=0, atol=1e-15)


def test_night_has_no_sun_and_albedos_of_one(steps) -> None:
    night = steps.before["pbuf_COSZRS"] == 0
    assert 0.45 < night.mean() < 0.55
    assert (steps.before["pbuf_SOLIN"][night] == 0).all()
    assert (steps.after["cam_out_NETSW"][night] == 0).mean() > 0.99
    assert (steps.before["cam_in_ALDIF"][night] == 1).mean() > 0.85


def test_net_solar_flux_follows_from_the_fluxes_down_and_the_albedos(steps) -> None:
    parts = {"SOLS": "ASDIR", "SOLL": "ALDIR", "SOLSD": "ASDIF", "SOLLD": "ALDIF"}
    total = sum(steps.after[f"cam_out_{sun}"] * (1 - steps.before[f"cam_in_{albedo}"]) for sun, albedo in parts.items())
    np.testing.assert_allclose(total, steps.after["cam_out_NETSW"], rtol=0, atol=1e-11)


def test_everything_is_finite_and_in_its_physical_range(steps) -> None:
    for name, item in TABLE.items():
        if item.state:
            values = steps.tendency(item.state)
        else:
            values = steps.before[name] if item.role == "input" else steps.after[name]
        values = values[values < 1e29] if item.fill else values
        assert np.isfinite(values).all(), name
        assert item.low <= values.min() and values.max() <= item.high, name


def test_stress_opposes_the_wind(steps) -> None:
    assert np.corrcoef(steps.before["pbuf_TAUX"].ravel(), steps.before["state_u"][..., 59].ravel())[0, 1] < -0.8


def test_made_up_tendencies_are_of_the_order_of_the_real_ones(real_source: Path, synthetic_source: Path, load) -> None:
    real, made_up = load(real_source), load(synthetic_source)
    for name, first in (("state_t", 0), ("state_q0001", 22), ("state_u", 20), ("state_v", 20), ("state_q0002", 30)):
        ratio = made_up.tendency(name).std(axis=(0, 1))[first:] / real.tendency(name).std(axis=(0, 1))[first:]
        assert ratio.min() > 0.02 and ratio.max() < 50, name
        assert 0.2 < np.median(ratio) < 5, name
