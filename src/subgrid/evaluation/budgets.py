"""What a column gains against what is known to flow in and out of it: residuals of water and moist enthalpy.

A *residual* is the change of a column in one step less the fluxes into it, a sum of signed terms in W/m2 (water times
the latent heat Lv); it is positive where the column gains more than it is given. The integrals of profiles are over
the mass of layers, sum of x_k (p_{k+1} - p_k) / g.

    water             Lv (dq0001 + dq0002 + dq0003) + Lv rho PRECC - LHFLX
    enthalpy          cp dT + Lv dq0001 - Lf dq0003 - Lf rho PRECSC - LHFLX - SHFLX - LWUP + FLWDS + NETSW - SOLIN
    ..._no_flux       the same without the turbulent fluxes of the surface, LHFLX and SHFLX

The residual of enthalpy lacks what leaves at the top, which ClimSim does not hold: reflected sunlight and outgoing
longwave stay in it with a minus. In E3SM-MMF the turbulent fluxes are applied in another part of the model's step, so
that its truth is near zero (water) and near minus the fluxes at the top (enthalpy) in the mean of ``..._no_flux``; in
one column it is not, because rain, snow and graupel within the resolved clouds are no part of the state. The synthetic
climate closes ``water`` to rounding, and ``enthalpy`` once its fluxes at the top are taken off.
"""

from typing import Self

import numpy as np

from subgrid.evaluation.bins import Bins
from subgrid.evaluation.rows import SOURCE, Field, Frame, Rows
from subgrid.physics.constants import GRAVITY, HEAT_CAPACITY, WATER_DENSITY
from subgrid.physics.constants import LATENT_HEAT_FUSION as LF
from subgrid.physics.constants import LATENT_HEAT_VAPORISATION as LV
from subgrid.schema.grid import Grid
from subgrid.schema.variable_sets import VariableSet
from subgrid.schema.variables import LEVELS, variable

Terms = dict[str, tuple[str, float]]

_WATER: Terms = {
    "vapour": ("ptend_q0001", LV),
    "liquid": ("ptend_q0002", LV),
    "ice": ("ptend_q0003", LV),
    "precipitation": ("cam_out_PRECC", LV * WATER_DENSITY),
    "latent_heat": ("pbuf_LHFLX", -1.0),
}
_ENTHALPY: Terms = {
    "heating": ("ptend_t", HEAT_CAPACITY),
    "vapour": ("ptend_q0001", LV),
    "ice": ("ptend_q0003", -LF),
    "snow": ("cam_out_PRECSC", -LF * WATER_DENSITY),
    "latent_heat": ("pbuf_LHFLX", -1.0),
    "sensible_heat": ("pbuf_SHFLX", -1.0),
    "longwave_up": ("cam_in_LWUP", -1.0),
    "longwave_down": ("cam_out_FLWDS", 1.0),
    "shortwave_net": ("cam_out_NETSW", 1.0),
    "insolation": ("pbuf_SOLIN", -1.0),
}


def _without_fluxes(terms: Terms) -> Terms:
    return {name: term for name, term in terms.items() if name not in ("latent_heat", "sensible_heat")}


BUDGETS: dict[str, Terms] = {
    "water": _WATER,
    "water_no_flux": _without_fluxes(_WATER),
    "enthalpy": _ENTHALPY,
    "enthalpy_no_flux": _without_fluxes(_ENTHALPY),
}
"""The terms of each budget: name -> (variable, factor to W/m2 with the sign that it has in the residual)."""

TERMS = tuple(dict.fromkeys([*_WATER, *_ENTHALPY]))
"""The names of all terms, the axis ``term``."""

BINS = Bins.symmetric(0.1, 1e4, 10)
"""Bins of residuals in W/m2: ten a decade on both sides of |residual| < 0.1; the outermost are open."""

_UNITS = {"W/m2": 1.0, "kg/m2/s": 1.0 / LV, "mm/day": 86_400.0 / LV}


def closable(variables: VariableSet) -> list[str]:
    """The budgets of which a set has all variables."""
    known = {item.name for item in (*variables.inputs, *variables.targets)}
    return [name for name, terms in BUDGETS.items() if {item for item, _ in terms.values()} <= known]


def column_integral(grid: Grid, surface_pressure: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Integral over the mass of a column, sum of x_k (p_{k+1} - p_k) / g, (row,), of ``values`` (row, 60).

    The same as with ``layer_mass``: a mass is linear in the surface pressure in Pa (row,), so two products do.
    """
    layers = np.stack([grid.P0 * np.diff(grid.hyai), np.diff(grid.hybi)], axis=1) / GRAVITY  # (60, 2)
    fixed, pressed = (values @ layers).T
    return fixed + surface_pressure * pressed


def column_terms(frame: Frame, rows: Rows, values: np.ndarray, budgets: list[str]) -> np.ndarray:
    """Signed terms of budgets in W/m2, float64 (budget, term, row), of truth or prediction (row, target_width).

    A term that a budget does not have is 0. The residual is the sum over the axis of terms.
    """
    if frame.grid is None:
        raise ValueError("terms of a budget need the grid's levels")
    known: dict[str, np.ndarray] = {}
    pressure = rows.input(frame.variables, "state_ps")
    table = np.zeros((len(budgets), len(TERMS), len(values)))
    for index, budget in enumerate(budgets):
        for term, (name, factor) in BUDGETS[budget].items():
            if name not in known:
                known[name] = _flux(frame, rows, values, name)
                if variable(name).levels == LEVELS:
                    known[name] = column_integral(frame.grid, pressure, known[name])
            np.multiply(known[name], factor, out=table[index, TERMS.index(term)])
    return table


def _flux(frame: Frame, rows: Rows, values: np.ndarray, name: str) -> np.ndarray:
    if variable(name).role == "input":
        return rows.input(frame.variables, name)
    return rows.target(values, frame.variables, name)


class Budgets:
    """Area-weighted sums of the budgets' terms and residuals; without a grid there is no mass, and no field.

    Rows whose column is unknown have the mean weight.
    """

    def __init__(self, frame: Frame) -> None:
        self.frame = frame
        self.budgets = closable(frame.variables) if frame.grid is not None else []
        sizes = (len(self.budgets), len(TERMS), 2)
        self.weight = 0.0
        self.term, self.term_squares = np.zeros(sizes), np.zeros(sizes)
        self.residual, self.squares = np.zeros(sizes[::2]), np.zeros(sizes[::2])
        self.error_squares = np.zeros(sizes[0])
        self.counts = np.zeros((*sizes[::2], BINS.size))
        self.error_counts = np.zeros((sizes[0], BINS.size))

    def add(self, rows: Rows) -> None:
        """Take a chunk of rows."""
        if not self.budgets or not len(rows.truth):
            return
        weights = self.frame.weights(rows.column)
        self.weight += weights.sum()
        residuals = []
        for source, values in enumerate((rows.truth, rows.prediction)):
            terms = column_terms(self.frame, rows, values, self.budgets)
            self.term[:, :, source] += terms @ weights
            self.term_squares[:, :, source] += np.einsum("btr,btr,r->bt", terms, terms, weights)
            residuals.append(terms.sum(axis=1))
            self.residual[:, source] += residuals[source] @ weights
            self.squares[:, source] += residuals[source] ** 2 @ weights
            self.counts[:, source] += [BINS.count(values, weights) for values in residuals[source]]
        error = residuals[1] - residuals[0]
        self.error_squares += error**2 @ weights
        self.error_counts += [BINS.count(values, weights) for values in error]

    def merge(self, other: Self) -> None:
        """Take what another accumulator of the same frame has taken."""
        for name in ("weight", "term", "term_squares", "residual", "squares", "error_squares"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.counts = self.counts + other.counts
        self.error_counts = self.error_counts + other.error_counts

    def fields(self) -> dict[str, Field]:
        """Means, root mean squares, terms and histograms of the residuals; empty where no budget can be closed."""
        if not self.weight:
            return {}
        axes = ("budget", "source")
        present = np.array([[term in BUDGETS[budget] for term in TERMS] for budget in self.budgets])[:, :, None]
        absent = np.where(present, 1.0, np.nan) / self.weight
        return {
            **self._coordinates(),
            "budget_mean": Field(axes, self.residual / self.weight, "W/m2", f"mean residual; {_MISSING}"),
            "budget_rms": Field(axes, np.sqrt(self.squares / self.weight), "W/m2", f"rms of the residual; {_MISSING}"),
            "budget_error_rms": Field(
                axes[:1],
                np.sqrt(self.error_squares / self.weight),
                "W/m2",
                "rms of residual of the prediction - residual of the truth; what ClimSim lacks cancels",
            ),
            "budget_term": Field(
                ("budget", "term", "source"), self.term * absent, "W/m2", "mean of a term as it stands in the residual"
            ),
            "budget_term_rms": Field(
                ("budget", "term", "source"), np.sqrt(self.term_squares * absent), "W/m2", "rms of a term"
            ),
            "budget_histogram": Field(
                (*axes, "budget_bin"), self.counts / self.weight, "1", "share of the area with a residual in the bin"
            ),
            "budget_error_histogram": Field(
                ("budget", "budget_bin"),
                self.error_counts / self.weight,
                "1",
                "share of the area where residual of the prediction - residual of the truth lies in the bin",
            ),
        }

    def _coordinates(self) -> dict[str, Field]:
        water = np.array([name.startswith("water") for name in self.budgets])
        factors = np.array([np.where(water | (unit == "W/m2"), factor, np.nan) for unit, factor in _UNITS.items()])
        return {
            "source": SOURCE,
            "budget": Field(("budget",), np.array(self.budgets), "", "water (times Lv) or moist enthalpy of a column"),
            "term": Field(("term",), np.array(TERMS), "", "terms that add to a residual"),
            "budget_edge": Field(("budget_edge",), BINS.edges, "W/m2", "edges of budget_bin, one more than bins"),
            "budget_unit": Field(("budget_unit",), np.array(list(_UNITS)), "", "units of a budget"),
            "budget_factor": Field(
                ("budget", "budget_unit"), factors.T, "", "a residual in W/m2 times this is in budget_unit"
            ),
        }


_MISSING = "ClimSim has no fluxes at the top, E3SM-MMF no turbulent surface fluxes in this step: 0 only where all stand"
