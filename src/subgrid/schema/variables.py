"""The one table of variables: name, levels, unit, role, storage exponent, physical range, meaning.

Names, order and meaning are ClimSim's (Yu et al. 2023, arXiv:2306.08754). Level 0 is the top of the model.

The *storage exponent* k says how a value x is stored: as float32(x * 2**k), computed in float64. Cloud water spans
2**-191 ... 2**-10 in real steps, so a plain cast to float32 would flush whole levels to zero; k depends on the
variable, never on the data.

The *physical range* is wide on purpose. It is there to catch files that are cut, zeroed or of another variable, not
extremes: the published low-resolution data hold 1,321 K at the model top.
"""

from dataclasses import dataclass
from typing import Literal

from subgrid.errors import SettingsError

LEVELS = 60
"""Levels of a profile; level 0 is the top of the model."""

TIME_STEP = 1200
"""Seconds of one physics step of E3SM-MMF."""

FILL_LIMIT = 1e29
"""Values of this size and above are fill, not data (cam_in_SNOWHICE holds 1e30 where there is no sea ice)."""


@dataclass(frozen=True)
class Variable:
    """One physical quantity of a column.

    Attributes:
        name: ClimSim's name.
        levels: 60 for a profile, 1 for a scalar.
        unit: SI, as printed.
        role: ``input`` stands in ``mli`` files, ``target`` is computed from ``mli`` and ``mlo``.
        exponent: k of the stored float32(x * 2**k).
        low, high: the closed physical range of the raw value.
        meaning: one line for tables and cards.
        fill: whether values >= ``FILL_LIMIT`` mean "none here".
        state: for a tendency, the state variable it is the change of.
    """

    name: str
    levels: int
    unit: str
    role: Literal["input", "target"]
    exponent: int
    low: float
    high: float
    meaning: str
    fill: bool = False
    state: str | None = None

    def column_names(self) -> list[str]:
        """Kaggle's column names: ``state_t_0`` ... ``state_t_59``, or the name itself for a scalar."""
        return [self.name] if self.levels == 1 else [f"{self.name}_{level}" for level in range(self.levels)]


def _profile(name: str, unit: str, low: float, high: float, meaning: str, exponent: int = 0) -> Variable:
    return Variable(name, LEVELS, unit, "input", exponent, low, high, meaning)


def _scalar(name: str, unit: str, low: float, high: float, meaning: str, fill: bool = False) -> Variable:
    return Variable(name, 1, unit, "input", 0, low, high, meaning, fill)


def _tendency(of: str, unit: str, limit: float, meaning: str, exponent: int = 0) -> Variable:
    name = of.replace("state_", "ptend_")
    return Variable(name, LEVELS, unit, "target", exponent, -limit, limit, meaning, state=of)


def _output(name: str, unit: str, low: float, high: float, meaning: str) -> Variable:
    return Variable(name, 1, unit, "target", 0, low, high, meaning)


_INPUTS = (
    _profile("state_t", "K", 50.0, 3000.0, "air temperature"),
    _profile("state_q0001", "kg/kg", 1e-15, 0.2, "specific humidity", 64),
    _profile("state_q0002", "kg/kg", 0.0, 0.1, "cloud liquid mixing ratio", 120),
    _profile("state_q0003", "kg/kg", 0.0, 0.1, "cloud ice mixing ratio", 64),
    _profile("state_u", "m/s", -1000.0, 1000.0, "zonal wind"),
    _profile("state_v", "m/s", -1000.0, 1000.0, "meridional wind"),
    _scalar("state_ps", "Pa", 30000.0, 120000.0, "surface pressure"),
    _scalar("pbuf_SOLIN", "W/m2", 0.0, 1600.0, "solar insolation at the top of the model"),
    _scalar("pbuf_LHFLX", "W/m2", -5000.0, 5000.0, "surface latent heat flux, upwards"),
    _scalar("pbuf_SHFLX", "W/m2", -5000.0, 5000.0, "surface sensible heat flux, upwards"),
    _scalar("pbuf_TAUX", "N/m2", -50.0, 50.0, "zonal surface stress"),
    _scalar("pbuf_TAUY", "N/m2", -50.0, 50.0, "meridional surface stress"),
    _scalar("pbuf_COSZRS", "1", 0.0, 1.0, "cosine of the solar zenith angle"),
    _scalar("cam_in_ALDIF", "1", 1e-6, 1.1, "surface albedo, near infrared, diffuse"),
    _scalar("cam_in_ALDIR", "1", 1e-6, 1.1, "surface albedo, near infrared, direct"),
    _scalar("cam_in_ASDIF", "1", 1e-6, 1.1, "surface albedo, visible, diffuse"),
    _scalar("cam_in_ASDIR", "1", 1e-6, 1.1, "surface albedo, visible, direct"),
    _scalar("cam_in_LWUP", "W/m2", 20.0, 2000.0, "longwave flux upwards at the surface"),
    _scalar("cam_in_ICEFRAC", "1", -1e-6, 1.0 + 1e-6, "sea-ice fraction"),
    _scalar("cam_in_LANDFRAC", "1", -1e-6, 1.0 + 1e-6, "land fraction"),
    _scalar("cam_in_OCNFRAC", "1", -1e-6, 1.0 + 1e-6, "open-ocean fraction"),
    _scalar("cam_in_SNOWHICE", "m", 0.0, 100.0, "snow depth over sea ice (fill where there is none)", fill=True),
    _scalar("cam_in_SNOWHLAND", "m", 0.0, 100.0, "snow depth over land, water equivalent"),
    _profile("pbuf_ozone", "mol/mol", 1e-12, 1e-3, "ozone volume mixing ratio"),
    _profile("pbuf_CH4", "mol/mol", 1e-14, 1e-4, "methane volume mixing ratio"),
    _profile("pbuf_N2O", "mol/mol", 1e-14, 1e-4, "nitrous oxide volume mixing ratio"),
)

_TARGETS = (
    _tendency("state_t", "K/s", 2.5, "heating rate"),
    _tendency("state_q0001", "kg/kg/s", 2e-4, "moistening rate", 64),
    _tendency("state_q0002", "kg/kg/s", 1e-4, "cloud liquid tendency", 120),
    _tendency("state_q0003", "kg/kg/s", 1e-4, "cloud ice tendency", 64),
    _tendency("state_u", "m/s2", 1.7, "zonal acceleration"),
    _tendency("state_v", "m/s2", 1.7, "meridional acceleration"),
    _output("cam_out_NETSW", "W/m2", 0.0, 1600.0, "net shortwave flux at the surface, downwards"),
    _output("cam_out_FLWDS", "W/m2", 5.0, 2000.0, "longwave flux downwards at the surface"),
    _output("cam_out_PRECSC", "m/s", 0.0, 1e-4, "snow rate, liquid water equivalent"),
    _output("cam_out_PRECC", "m/s", 0.0, 1e-4, "rain and snow rate, liquid water equivalent"),
    _output("cam_out_SOLS", "W/m2", 0.0, 1600.0, "direct visible flux at the surface, downwards"),
    _output("cam_out_SOLL", "W/m2", 0.0, 1600.0, "direct near-infrared flux at the surface, downwards"),
    _output("cam_out_SOLSD", "W/m2", 0.0, 1600.0, "diffuse visible flux at the surface, downwards"),
    _output("cam_out_SOLLD", "W/m2", 0.0, 1600.0, "diffuse near-infrared flux at the surface, downwards"),
)

TABLE: dict[str, Variable] = {variable.name: variable for variable in _INPUTS + _TARGETS}
"""All variables by name, inputs before targets, each in the order of ClimSim's widest set."""


def variable(name: str) -> Variable:
    """The variable of that name; raises SettingsError with the known names otherwise."""
    if name not in TABLE:
        raise SettingsError(f"unknown variable {name!r}; known are: {', '.join(TABLE)}")
    return TABLE[name]
