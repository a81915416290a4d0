"""Weights of an ensemble that suit the truth: not negative, sum 1, from sums that add.

With errors e_i = prediction_i - truth of members i, the error of a weighted mean is sum_i w_i e_i, so all follows from
the products P_ij = sum over rows of e_i e_j, one matrix a target column, and from the truth's M2:

    R2(w) = 1 - w' P w / M2

``least_squares`` minimises the sum over columns of w' P w / max(M2, mean_i P_ii): 1 - R2, but a column that the members
miss by more than its variance counts as much as its error, or a few columns without signal would decide. ``hill`` adds
one member after the other, with replacement, each time the one that brings the mean of max(R2, 0) furthest.
"""

from collections.abc import Callable, Mapping
from typing import Literal, Self

import numpy as np

from subgrid.errors import InputError
from subgrid.evaluation.scorecard import compared_columns
from subgrid.evaluation.sums import Sums
from subgrid.schema.variable_sets import VariableSet

By = Literal["all", "kind", "variable"]

KINDS: Mapping[str, tuple[str, ...]] = {
    "temperature": ("ptend_t",),
    "water": ("ptend_q0001", "ptend_q0002", "ptend_q0003"),
    "wind": ("ptend_u", "ptend_v"),
    "radiation": ("cam_out_NETSW", "cam_out_FLWDS", "cam_out_SOLS", "cam_out_SOLL", "cam_out_SOLSD", "cam_out_SOLLD"),
    "precipitation": ("cam_out_PRECSC", "cam_out_PRECC"),
}
"""Targets that share weights by default."""

HILL_STEPS = 100
"""Members drawn by hill climbing: weights are multiples of 1 / (steps taken)."""

_KKT = 1e-12  # of the largest product: how far a gradient may be from the optimum's, for rounding


class ErrorProducts:
    """Products of the members' errors and the truth's moments; a mergeable accumulator.

    Attributes:
        products: float64 (column, member, member).
        truth: sums of the truth, (column,).
    """

    def __init__(self, members: int, columns: int) -> None:
        self.products = np.zeros((columns, members, members))
        self.truth = Sums.zero(columns)

    def add(self, members: np.ndarray, truth: np.ndarray) -> None:
        """Take rows: members (member, row, column), truth (row, column); raises InputError for NaN or infinity."""
        if members.shape[::2] != self.products.shape[1::-1]:
            raise InputError(f"expected members of shape {self.products.shape[1::-1]}, found {members.shape[::2]}")
        self.truth = self.truth + Sums.of(members.mean(axis=0), truth)
        errors = np.ascontiguousarray((members - truth).transpose(2, 0, 1))
        self.products += errors @ errors.transpose(0, 2, 1)

    def merge(self, other: Self) -> None:
        """Take what another one has taken."""
        self.products = self.products + other.products
        self.truth = self.truth + other.truth

    @property
    def rows(self) -> int:
        """Rows taken."""
        return int(self.truth.rows.max(initial=0))

    def r2(self, weights: np.ndarray) -> np.ndarray:
        """R2 of the weighted mean by column, NaN where the truth has no variance; weights (..., member)."""
        squares = np.einsum("...i,cij,...j->...c", weights, self.products, weights, optimize=True)
        m2 = self.truth.m2
        return 1 - np.divide(
            squares, m2, out=np.full_like(squares, np.nan), where=np.broadcast_to(m2 > 0, squares.shape)
        )


def parts_of(variables: VariableSet, by: By) -> dict[str, tuple[str, ...]]:
    """The targets that share weights, by a name for them; every target stands in one part."""
    names = [item.name for item in variables.targets]
    if by == "all":
        return {"all": tuple(names)}
    if by == "variable":
        return {name: (name,) for name in names}
    parts = {kind: tuple(name for name in names if name in members) for kind, members in KINDS.items()}
    return {kind: members for kind, members in parts.items() if members}


def fitted_weights(
    sums: ErrorProducts, variables: VariableSet, by: By, method: Callable[[ErrorProducts, np.ndarray], np.ndarray]
) -> np.ndarray:
    """Weights (member, target variable), one vector for each part of the targets.

    Only the columns of ``r2_294`` whose truth varies have a say; a part without any keeps equal weights.
    """
    members = sums.products.shape[1]
    weights = np.full((members, len(variables.targets)), 1 / members)
    place = {item.name: index for index, item in enumerate(variables.targets)}
    compared = np.zeros(variables.target_width, dtype=bool)
    compared[compared_columns(variables)] = True
    compared &= sums.truth.m2 > 0
    for names in parts_of(variables, by).values():
        columns = np.concatenate([np.arange(variables.target_width)[variables.target_slices[name]] for name in names])
        columns = columns[compared[columns]]
        if columns.size:
            weights[:, [place[name] for name in names]] = method(sums, columns)[:, None]
    return weights


def least_squares(sums: ErrorProducts, columns: np.ndarray) -> np.ndarray:
    """The weights (member,) of the least scaled squared error over some columns."""
    products = sums.products[columns]
    scale = np.maximum(sums.truth.m2[columns], np.einsum("cii->c", products) / products.shape[1])
    return simplex_minimum((products / scale[:, None, None]).sum(axis=0))


def hill(sums: ErrorProducts, columns: np.ndarray) -> np.ndarray:
    """The weights (member,) found by greedy selection with replacement, the best of all steps.

    Equal weights where no selection has an R2 above 0 in any column.
    """
    products = sums.products[columns] / sums.truth.m2[columns, None, None]
    members = products.shape[1]
    counts = np.zeros(members)
    best, best_score = np.full(members, 1 / members), 0.0
    for step in range(1, HILL_STEPS + 1):
        candidates = (counts + np.eye(members)) / step
        squares = np.einsum("...i,cij,...j->...c", candidates, products, candidates, optimize=True)
        scores = np.maximum(1 - squares, 0).mean(axis=-1)
        chosen = int(np.argmax(scores))
        counts[chosen] += 1
        if scores[chosen] > best_score:
            best, best_score = counts / step, float(scores[chosen])
    return best


def simplex_minimum(products: np.ndarray) -> np.ndarray:
    """The w >= 0 with sum 1 that makes w' A w least, for a positive semidefinite A (member, member).

    This is the point of a polytope nearest to the origin, found by Wolfe's active sets (Mathematical Programming 11,
    1976): exact after finitely many steps.
    """
    weights = np.zeros(len(products))
    weights[np.argmin(products.diagonal())] = 1.0
    active = weights > 0
    tolerance = _KKT * products.diagonal().max(initial=0.0)
    while True:
        gradient = products @ weights
        entering = int(np.argmin(gradient))
        if active[entering] or gradient[entering] >= weights @ gradient - tolerance:
            return weights
        active[entering] = True
        found = _to_affine_minimum(products, weights, active)
        if found @ products @ found >= weights @ gradient:  # nothing but rounding is left to be gained
            return weights
        weights, active = found, found > 0


def _to_affine_minimum(products: np.ndarray, weights: np.ndarray, active: np.ndarray) -> np.ndarray:
    """Walk to the minimum over the active members with sum 1, dropping those whose weight reaches 0 on the way."""
    active = active.copy()
    while True:
        target = np.zeros_like(weights)
        target[active] = _affine_minimum(products[np.ix_(active, active)])
        falling = active & (target <= 0)
        if not falling.any():
            return target
        shares = weights[falling] / np.maximum(weights[falling] - target[falling], np.finfo(float).tiny)
        weights = weights + shares.min() * (target - weights)
        weights[np.flatnonzero(falling)[np.argmin(shares)]] = 0.0
        weights = np.maximum(weights, 0.0)
        active &= weights > 0


def _affine_minimum(products: np.ndarray) -> np.ndarray:
    """The v with sum 1 (of any sign) that makes v' A v least."""
    size = len(products)
    scale = products.diagonal().max() or 1.0
    system = np.block([[products / scale, np.ones((size, 1))], [np.ones((1, size)), np.zeros((1, 1))]])
    return np.linalg.lstsq(system, np.eye(size + 1)[size], rcond=None)[0][:size]
