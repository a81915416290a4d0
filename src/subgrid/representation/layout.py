"""Names of the channels and of the single values that an encoder makes; offsets follow from the variable set."""

from dataclasses import dataclass
from functools import cached_property
from typing import Literal, NamedTuple

from subgrid.errors import SettingsError
from subgrid.representation.settings import DERIVED, RepresentationSettings
from subgrid.schema.variable_sets import VariableSet
from subgrid.schema.variables import LEVELS, Variable

Form = Literal["per_level", "pooled", "signed_log", "derived"]

WIND = ("state_u", "state_v")
"""The inputs that the wind channel needs; a set without both has none."""


STATE = ("state_t", "state_q0001", "state_q0002", "state_q0003", "state_u", "state_v", "state_ps")
"""The inputs that derived channels are made of."""


class EncodedShape(NamedTuple):
    """Size of an encoded column: (levels, profile_channels + scalar_channels), profile channels first."""

    levels: int
    profile_channels: int
    scalar_channels: int


class Channel(NamedTuple):
    """One channel: a variable (or ``wind_speed``) in one form."""

    form: Form
    variable: str

    @property
    def name(self) -> str:
        return f"{self.variable}.{self.form}"


@dataclass(frozen=True)
class Layout:
    """Which channel holds what, for a variable set and a representation.

    Profile channels come first: per_level of every profile variable in the order of the set, then (``leap``) the wind
    speed's, then pooled, then signed_log of every profile variable, then derived channels by group. Scalars follow,
    each repeated on the 60 levels.
    """

    variables: VariableSet
    settings: RepresentationSettings

    @cached_property
    def profiles(self) -> tuple[Variable, ...]:
        """The input variables with 60 levels, in the order of the set."""
        return tuple(item for item in self.variables.inputs if item.levels > 1)

    @cached_property
    def scalars(self) -> tuple[Variable, ...]:
        """The input variables with one value a column, in the order of the set."""
        return tuple(item for item in self.variables.inputs if item.levels == 1)

    @cached_property
    def has_wind(self) -> bool:
        return self.settings.name == "leap" and all(name in self.variables.input_slices for name in WIND)

    @cached_property
    def derived(self) -> tuple[str, ...]:
        """Groups of derived channels; raises SettingsError where the set lacks an input that they are made of."""
        lacking = [name for name in STATE if name not in self.variables.input_slices]
        if self.settings.derived and lacking:
            raise SettingsError(
                f"representation.derived needs {', '.join(lacking)}; the variable set {self.variables.name!r} is "
                "without. Use --set representation.derived=[]"
            )
        return self.settings.derived

    @cached_property
    def channels(self) -> tuple[Channel, ...]:
        """All channels in their order; scalars are ``per_level`` too, having one level."""
        names = [item.name for item in self.profiles]
        wind = [Channel("per_level", "wind_speed")] if self.has_wind else []
        per_level = [Channel("per_level", name) for name in names] + wind
        others: list[Form] = ["pooled", "signed_log"] if self.settings.name == "leap" else []
        rest = [Channel(form, name) for form in others for name in names]
        derived = [Channel("derived", name) for group in self.derived for name in DERIVED[group]]
        return (*per_level, *rest, *derived, *(Channel("per_level", item.name) for item in self.scalars))

    @cached_property
    def shape(self) -> EncodedShape:
        return EncodedShape(LEVELS, len(self.channels) - len(self.scalars), len(self.scalars))

    def index(self, variable: str, form: Form = "per_level") -> int:
        """Place of a channel on the last axis; raises SettingsError with the known names otherwise."""
        channel = Channel(form, variable)
        if channel not in self.channels:
            known = ", ".join(item.name for item in self.channels)
            raise SettingsError(f"no channel {channel.name!r}; known are: {known}")
        return self.channels.index(channel)

    @cached_property
    def value_names(self) -> list[str]:
        """Names of the distinct values: 60 for each profile channel, then one a scalar (``leap``, ``kaggle``: 1,696).

        ``state_t_0.pooled`` is level 0 of channel ``state_t.pooled``.
        """
        levels, profiles, _ = self.shape
        per_profile = [
            f"{item.variable}_{level}.{item.form}" for item in self.channels[:profiles] for level in range(levels)
        ]
        return per_profile + [item.name for item in self.channels[profiles:]]
