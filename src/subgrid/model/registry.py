"""Networks by name: their settings, the shape of what goes in and comes out, and the one place that builds them.

A new network is one file in this folder, whose builder carries ``@register("name")``, and its name in ``NETWORKS``
below (the file is called like the network). This module imports no torch, so that a recipe can be read without it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Annotated, Literal, NamedTuple, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from subgrid.errors import SettingsError

if TYPE_CHECKING:
    from torch import Tensor, nn

NETWORKS = ("squeezeformer", "mlp")
"""Networks that come with subgrid; ``subgrid.model.NAME`` holds and registers the network NAME."""

Size = Annotated[int, Field(ge=1)]


class ModelSettings(BaseModel):
    """Which network and how large.

    One flat record for all networks: each takes the sizes that are its own and leaves the others alone, so that
    ``--set model.name=mlp`` on a recipe of the Squeezeformer gives the MLP in the size that the recipe says for it.

    Attributes:
        name: the network, one of ``known_networks()``.
        width: channels of a level inside the Squeezeformer (the winner: 256, 384, 512).
        blocks: pairs of convolution and attention block in the Squeezeformer (the winner: 12).
        head: channels of a level in the Squeezeformer's wide head (the winner: 1024, 2048).
        heads: attention heads of the Squeezeformer; divides ``width``.
        kernel: levels that one convolution of the Squeezeformer sees, odd.
        scale_init: initial scale of the Squeezeformer's residual branches; ``glorot`` draws it from U(+-sqrt(3/width))
            as Keras did for the winner (branches start damped, with random sign), ``one`` sets it to 1.
        layers: sizes of the MLP's hidden layers.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = "squeezeformer"
    width: Size = 64
    blocks: Size = 3
    head: Size = 256
    heads: Size = 4
    kernel: Size = 15
    scale_init: Literal["glorot", "one"] = "glorot"
    layers: Annotated[tuple[Size, ...], Field(min_length=1)] = (768, 640, 512, 640, 640)

    @field_validator("name")
    @classmethod
    def _known(cls, name: str) -> str:
        if name not in known_networks():
            raise ValueError(f"unknown network {name!r}; known are: {', '.join(known_networks())}")
        return name

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.width % self.heads:
            raise ValueError(f"model.heads must divide model.width, found {self.heads} heads of width {self.width}")
        if self.kernel % 2 == 0:
            raise ValueError(f"model.kernel must be odd, so that it has a middle level; found {self.kernel}")
        return self


@dataclass(frozen=True)
class ModelShape:
    """What a network gets and gives.

    In: (batch, levels, profile_channels + scalar_channels), profile channels first, scalars repeated on all levels.
    Out: (batch, targets + auxiliary): ``profiles`` variables of ``levels`` values each (level 0 first), then
    ``scalars``, then ``auxiliary`` space-time values; and as many estimated errors if ``confidence``.
    """

    levels: int
    profile_channels: int
    scalar_channels: int
    profiles: int
    scalars: int
    auxiliary: int = 0
    confidence: bool = False

    @property
    def channels(self) -> int:
        """Input channels of a level."""
        return self.profile_channels + self.scalar_channels

    @property
    def output_channels(self) -> int:
        """Output channels of a level in a network that works level by level."""
        return self.profiles + self.scalars + self.auxiliary

    @property
    def outputs(self) -> int:
        """Length of a prediction: targets, then auxiliaries."""
        return self.profiles * self.levels + self.scalars + self.auxiliary


class Outputs(NamedTuple):
    """What every network returns: both (batch, targets + auxiliary), in normalised units."""

    prediction: Tensor
    confidence: Tensor | None


Builder = Callable[[ModelSettings, ModelShape], "nn.Module"]
_BUILDERS: dict[str, Builder] = {}


def register(name: str) -> Callable[[Builder], Builder]:
    """Make a builder (a function or a class called with settings and shape) known as ``name``."""

    def keep(builder: Builder) -> Builder:
        if _BUILDERS.setdefault(name, builder) is not builder:
            raise SettingsError(f"network {name!r} is registered twice: {_BUILDERS[name]!r} and {builder!r}")
        return builder

    return keep


def known_networks() -> tuple[str, ...]:
    """Names that ``build`` understands."""
    return tuple(dict.fromkeys((*NETWORKS, *_BUILDERS)))


def build(settings: ModelSettings, shape: ModelShape) -> nn.Module:
    """The network of these settings for this shape, initialised from torch's global generator, in float32 on the CPU.

    ``network(x)`` takes float32 (batch, levels, channels) and returns ``Outputs``.
    Raises SettingsError with the known names if nobody registered ``settings.name``.
    """
    if settings.name in NETWORKS:
        import_module(f"subgrid.model.{settings.name}")
    if settings.name not in _BUILDERS:
        raise SettingsError(f"unknown network {settings.name!r}; known are: {', '.join(known_networks())}")
    return _BUILDERS[settings.name](settings, shape)


def compile_blocks(network: nn.Module) -> bool:
    """Let torch compile the repeated part of a network, once for all its repetitions; False if it has none.

    Changes neither parameters nor their names. Compiled code is made at the first call for a shape of the batch.
    """
    compile_ = getattr(network, "compile_blocks", None)
    if compile_ is None:
        return False
    compile_()
    return True
