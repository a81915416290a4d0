"""Weights of an ensemble's members: equal, given between groups, or taken over from another ensemble.

Weights are (member, target variable); over the members they sum to 1. Inside a group all members have the same.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from subgrid.errors import DatasetError, SettingsError
from subgrid.prediction.members import Blend, Member
from subgrid.prediction.store import read_prediction_manifest
from subgrid.prediction.together import Together

_ROUNDING = 1e-3  # by how much given weights may miss 1: 0.333,0.333,0.333 is meant as thirds


def parse_weights(text: str) -> dict[str, float]:
    """``low=0.35,high=0.65`` as numbers by name; raises SettingsError for anything else."""
    found: dict[str, float] = {}
    for part in text.split(","):
        name, _, value = part.strip().partition("=")
        try:
            if name in found:
                raise ValueError("stands twice")
            found[name] = float(value)
        except ValueError:
            raise SettingsError(
                f"--weights {text}: expected GROUP=NUMBER,GROUP=NUMBER, each group once, as in low=0.35,high=0.65; "
                f"found {part!r}"
            ) from None
    return found


def units(together: Together) -> tuple[list[str], np.ndarray]:
    """What weights are given to or fitted for: the groups, or without groups the members; as names and as means.

    Returns:
        The names, and the share of every member in every unit, (unit, member): rows sum to 1.

    Raises:
        SettingsError: some members have a group and others none.
    """
    names = [one.group for one in together.given]
    if not any(names):
        return [str(one.folder) for one in together.given], np.eye(len(names))
    if not all(names):
        lacking = together.given[names.index("")].folder
        raise SettingsError(f"{lacking}: expected a group, as in GROUP={lacking}, since other members have one")
    groups = list(dict.fromkeys(names))
    belongs = np.array([[name == group for name in names] for group in groups], dtype=np.float64)
    return groups, belongs / belongs.sum(axis=1, keepdims=True)


def equal_weights(together: Together) -> np.ndarray:
    """The same weight for every member; raises SettingsError where there are groups, which need weights."""
    if any(one.group for one in together.given):
        raise SettingsError("members in groups: expected --weights GROUP=NUMBER,... between them, or --fit TRUTH")
    members = len(together.given)
    return np.full((members, len(together.variables.targets)), 1 / members)


def given_weights(together: Together, given: Mapping[str, float]) -> np.ndarray:
    """Weights between groups, equal inside them; raises SettingsError where names differ or the sum is not 1."""
    names, shares = units(together)
    if not any(one.group for one in together.given) or set(names) != set(given):
        found = ", ".join(names) if any(one.group for one in together.given) else "none (write GROUP=PREDICTION)"
        raise SettingsError(
            f"--weights: expected a weight for each group, found {', '.join(given)}; the groups are: {found}"
        )
    between = np.array([given[name] for name in names])
    if not (between >= 0).all() or abs(between.sum() - 1) > _ROUNDING:
        raise SettingsError(f"--weights: expected numbers that are not negative and sum to 1, found {between.tolist()}")
    return np.repeat((between / between.sum() @ shares)[:, None], len(together.variables.targets), axis=1)


def weights_of(ensemble: str | Path, together: Together) -> tuple[np.ndarray, Blend]:
    """The weights of the same networks in another ensemble, of other rows; networks are told by their digests.

    Raises:
        SettingsError: it is no ensemble, or of other networks.
        DatasetError: it predicts another variable set.
    """
    manifest = read_prediction_manifest(Path(ensemble))
    if manifest.variable_set != together.variables.name:
        raise DatasetError(f"{ensemble}: predicts the variable set {manifest.variable_set!r}, the members do not")
    if manifest.blend is None:
        raise SettingsError(f"{ensemble}: expected an ensemble to take weights from, found a network's own prediction")
    known = {member.checkpoint_digest: member for member in manifest.members}
    here = [stored.manifest.checkpoint_digest for stored in together.stored]
    _refuse_other_networks(ensemble, known, here, together)
    names = [item.name for item in together.variables.targets]
    weights = np.array([[known[digest].weights[name] for name in names] for digest in here])
    return weights, manifest.blend.model_copy(update={"weights_from": str(ensemble)})


def _refuse_other_networks(
    ensemble: str | Path, known: Mapping[str, Member], here: Sequence[str], together: Together
) -> None:
    strange = [str(one.folder) for one, digest in zip(together.given, here, strict=True) if digest not in known]
    lacking = [f"{known[digest].run}@{known[digest].checkpoint}" for digest in known if digest not in here]
    if strange or lacking:
        raise SettingsError(
            f"{ensemble}: its weights are for other networks; not among its members: {', '.join(strange) or 'none'}; "
            f"members without a prediction here: {', '.join(lacking) or 'none'}"
        )
