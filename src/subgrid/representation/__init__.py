"""Physical units <-> what a network sees: one encoder and one target transform for training, prediction and export.

The settings import without torch, so that recipes and ``--help`` stay fast; the modules come when they are asked for.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from subgrid.representation.settings import RepresentationSettings

if TYPE_CHECKING:
    from subgrid.representation.encoder import Encoder
    from subgrid.representation.targets import TargetTransform

__all__ = ["Encoder", "RepresentationSettings", "TargetTransform"]

_MODULES = {"Encoder": "subgrid.representation.encoder", "TargetTransform": "subgrid.representation.targets"}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_MODULES[name]), name)
