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

TERMS = {
    "heating": "ptend_t",
    "vapour": "ptend_q0001",
    "liquid": "ptend_q0002",
    "ice": "ptend_q0003",
    "precipitation": "cam_out_PRECC",
    "snow": "cam_out_PRECSC",
    "latent_heat": "pbuf_LHFLX",
    "sensible_heat": "pbuf_SHFLX",
    "longwave_up": "cam_in_LWUP",
    "longwave_down": "cam_out_FLWDS",
    "shortwave_net": "cam_out_NETSW",
    "insolation": "pbuf_SOLIN",
}
"""The variable of each term, a profile's integrated over the column; the names are the axis ``term``."""

Factors = dict[str, float]

_WATER = {"vapour": LV, "liquid": LV, "ice": LV, "precipitation": LV * WATER_DENSITY}
_ENTHALPY = {
    **{"heating": HEAT_CAPACITY, "vapour": LV, "ice": -LF, "snow": -LF * WATER_DENSITY},
    **{"longwave_up": -1.0, "longwave_down": 1.0, "shortwave_net": 1.0, "insolation": -1.0},
}

BUDGETS: dict[str, Factors] = {
    "water": {**_WATER, "latent_heat": -1.0},
    "water_no_flux": _WATER,
    "enthalpy": {**_ENTHALPY, "latent_heat": -1.0, "sensible_heat": -1.0},
    "enthalpy_no_flux": _ENTHALPY,
}
"""The terms of each budget with the factor that turns them to W/m2, with the sign that they have in the residual."""

BINS = Bins.symmetric(0.1, 1e4, 10)
"""Bins of residuals in W/m2: ten a decade on both sides of |residual| < 0.1; the outermost are open."""

_UNITS = {"W/m2": 1.0, "kg/m2/s": 1.0 / LV, "mm/day": 86_400.0 / LV}


def closable(variables: VariableSet) -> list[str]:
    """The budgets of which a set has all variables."""
    known = {item.name for item in (*variables.inputs, *variables.targets)}
    return [name for name, factors in BUDGETS.items() if {TERMS[term] for term in factors} <= known]


def term_factors(budgets: list[str]) -> np.ndarray:
    """Factors of the terms, float64 (budget, term); 0 where a budget does not have a term."""
    return np.array([[BUDGETS[budget].get(term, 0.0) for term in TERMS] for budget in budgets])


def column_integral(grid: Grid, surface_pressure: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Integral over the mass of a column, sum of x_k (p_{k+1} - p_k) / g, (row,), of ``values`` (row, 60).

    The same as with ``layer_mass``: a mass is linear in the surface pressure in Pa (row,), so two products do.
    """
    layers = np.stack([grid.P0 * np.diff(grid.hyai), np.diff(grid.hybi)], axis=1) / GRAVITY  # (60, 2)
    fixed, pressed = (values @ layers).T
    return fixed + surface_pressure * pressed


def column_terms(variables: VariableSet, grid: Grid, rows: Rows, values: np.ndarray) -> np.ndarray:
    """The terms before their factors, float64 (term, row), of truth or prediction (row, target_width).

    Integrals of tendencies (kg/m2 times their unit), rates in m/s, fluxes in W/m2; 0 where the set lacks the variable.
    ``term_factors(budgets) @ column_terms(...)`` are the residuals in W/m2, (budget, row).
    """
    pressure = rows.input(variables, "state_ps")
    table = np.zeros((len(TERMS), len(values)))
    for index, name in enumerate(TERMS.values()):
        if name in variables.input_slices:
            table[index] = rows.input(variables, name)
        elif name in variables.target_slices:
            found = rows.target(values, variables, name)
            table[index] = found if found.ndim == 1 else column_integral(grid, pressure, found)
    return table


class Budgets:
    """Area-weighted sums of the budgets' terms and residuals; without a grid there is no mass, and no field.

    Rows whose column is unknown have the mean weight.
    """

    def __init__(self, frame: Frame) -> None:
        self.frame = frame
        self.budgets = closable(frame.variables) if frame.grid is not None else []
        self._factors = term_factors(self.budgets)
        count = len(self.budgets)
        self.weight = 0.0
        self.term, self.term_squares = np.zeros((len(TERMS), 2)), np.zeros((len(TERMS), 2))
        self.residual, self.squares = np.zeros((count, 2)), np.zeros((count, 2))
        self.error_squares = np.zeros(count)
        self.counts, self.error_counts = np.zeros((count, 2, BINS.size)), np.zeros((count, BINS.size))

    def add(self, rows: Rows) -> None:
        """Take a chunk of rows."""
        grid = self.frame.grid
        if grid is None or not self.budgets or not len(rows.truth):
            return
        weights = self.frame.weights(rows.column)
        self.weight += weights.sum()
        residuals = []
        for source, values in enumerate((rows.truth, rows.prediction)):
            terms = column_terms(self.frame.variables, grid, rows, values)
            residuals.append(self._factors @ terms)
            self.residual[:, source] += residuals[source] @ weights
            self.squares[:, source] += residuals[source] ** 2 @ weights
            self.counts[:, source] += [BINS.count(item, weights) for item in residuals[source]]
            self.term[:, source] += terms @ weights
            self.term_squares[:, source] += terms**2 @ weights
        error = residuals[1] - residuals[0]
        self.error_squares += error**2 @ weights
        self.error_counts += [BINS.count(item, weights) for item in error]

    def merge(self, other: Self) -> None:
        """Take what another accumulator of the same frame has taken."""
        for name in (
            "weight",
            "term",
            "term_squares",
            "residual",
            "squares",
            "error_squares",
            "counts",
            "error_counts",
        ):
            setattr(self, name, getattr(self, name) + getattr(other, name))

    def fields(self) -> dict[str, Field]:
        """Means, root mean squares, terms and histograms of the residuals; empty where no budget can be closed."""
        if not self.weight:
            return {}
        axes = ("budget", "source")
        factors = np.where(self._factors == 0, np.nan, self._factors)[:, :, None]  # NaN: the budget lacks the term
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
                _OF_TERMS, factors * self.term / self.weight, "W/m2", "mean of a term as it stands in the residual"
            ),
            "budget_term_rms": Field(
                _OF_TERMS, np.sqrt(factors**2 * self.term_squares / self.weight), "W/m2", "rms of a term"
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
            "term": Field(("term",), np.array(list(TERMS)), "", "terms that add to a residual"),
            "budget_edge": Field(("budget_edge",), BINS.edges, "W/m2", "edges of budget_bin, one more than bins"),
            "budget_unit": Field(("budget_unit",), np.array(list(_UNITS)), "", "units of a budget"),
            "budget_factor": Field(
                ("budget", "budget_unit"), factors.T, "", "a residual in W/m2 times this is in budget_unit"
            ),
        }


_OF_TERMS = ("budget", "term", "source")
_HISTOGRAMS = ("counts", "error_counts")
_MISSING = "ClimSim has no fluxes at the top, E3SM-MMF no turbulent surface fluxes in this step: 0 only where all stand"
