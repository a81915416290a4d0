"""The data sets of a run: checked against the recipe and against each other, mixed into one stream."""

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256

from pydantic import ValidationError

from subgrid.errors import DatasetError, SettingsError
from subgrid.records.mixture import Pattern
from subgrid.records.provenance import Provenance
from subgrid.records.reader import Dataset, Stream, StreamSettings
from subgrid.statistics.table import Table
from subgrid.training.batches import Origin
from subgrid.training.settings import DataSettings, RunRecipe, TrainingSettings

SPLIT = "training"


@dataclass(frozen=True, eq=False)
class Sources:
    """Open data sets in the order of ``training.data``; the first one gives statistics, grid and epochs.

    Attributes:
        datasets: the first is the run's own.
        settings: what the recipe says of each.
    """

    datasets: tuple[Dataset, ...]
    settings: tuple[DataSettings, ...]

    @classmethod
    def of(cls, training: TrainingSettings, data: Dataset | Sequence[Dataset]) -> "Sources":
        """The data sets of a run.

        Raises:
            SettingsError: another number of data sets than the recipe lists.
            DatasetError: a data set of another variable set or of other records than the first, or without training
                rows.
        """
        datasets = tuple(data) if isinstance(data, Sequence) else (data,)
        if len(datasets) != len(training.data):
            names = ", ".join(item.name for item in training.data)
            raise SettingsError(
                f"training.data lists {len(training.data)} data set(s) ({names}), found {len(datasets)}; give --data "
                "once for each, in that order"
            )
        first = datasets[0]
        for other in datasets:
            other.rows(SPLIT)
            if other.variables != first.variables:
                raise DatasetError(
                    f"{other.folder}: expected rows of the variable set {first.variables.name!r}, as in "
                    f"{first.folder}, found {other.variables.name!r}"
                )
            if other.layout != first.layout:
                raise DatasetError(
                    f"{other.folder}: expected records of {first.layout.stride} bytes, as in {first.folder}, found "
                    f"{other.layout.stride}; build both with the same --float64"
                )
        return cls(datasets, training.data)

    @property
    def first(self) -> Dataset:
        """The data set whose statistics and grid are the run's."""
        return self.datasets[0]

    @property
    def pattern(self) -> Pattern:
        """How the rows are mixed."""
        return Pattern(tuple(item.share for item in self.settings))

    @property
    def table(self) -> Table:
        """The run's one table of statistics: that of the first data set's training rows."""
        return self.first.table(SPLIT)

    @property
    def digests(self) -> dict[str, str]:
        """Identity of each data set by its name in the recipe."""
        return {item.name: data.digest for item, data in zip(self.settings, self.datasets, strict=True)}

    @property
    def provenance(self) -> dict[str, Provenance]:
        """Source and licence of each data set by its name in the recipe."""
        return {item.name: data.manifest.provenance for item, data in zip(self.settings, self.datasets, strict=True)}

    @property
    def digest(self) -> str:
        """Identity of all: that of the one data set, or the SHA-256 of those of several."""
        found = list(self.digests.values())
        return found[0] if len(found) == 1 else sha256(" ".join(found).encode()).hexdigest()

    def named(self, name: str | None) -> Dataset:
        """The data set of that name, the first one for None."""
        return self.first if name is None else dict(zip(self.digests, self.datasets, strict=True))[name]

    def rows_of(self, epochs: float) -> int:
        """Rows of the mixed stream in which the first data set is passed so many times."""
        return int(epochs * self.first.rows(SPLIT) * self.pattern.period / self.settings[0].share)

    def resolve(self, recipe: RunRecipe) -> RunRecipe:
        """The recipe with a length in rows: ``training.epochs`` follows the data and is 0 afterwards.

        Raises:
            SettingsError: the run is too short for its sub-epochs, or takes more rows of a data set marked ``once``
                than it has.
        """
        training = recipe.training
        if training.epochs:
            told = training.model_dump() | {"rows": self.rows_of(training.epochs), "epochs": 0.0}
            if not told["rows"]:
                raise SettingsError(f"training.epochs = {training.epochs} of {self.first.folder} is no row at all")
            try:
                training = TrainingSettings.model_validate(told)
            except ValidationError as error:
                what = "; ".join(item["msg"].removeprefix("Value error, ") for item in error.errors())
                raise SettingsError(
                    f"training.epochs = {training.epochs:g} of the {self.first.rows(SPLIT)} training rows of "
                    f"{self.first.folder}: {what}"
                ) from error
            recipe = recipe.model_copy(update={"training": training})
        rows = training.rows // training.batch * training.batch
        taken = zip(self.settings, self.datasets, self.pattern.taken(rows), strict=True)
        for item, data, wanted in taken:
            if item.once and wanted > data.rows(SPLIT):
                raise SettingsError(
                    f"training.data: {item.name!r} is marked once, but a run of {rows} rows takes {wanted} of the "
                    f"{data.rows(SPLIT)} training rows of {data.folder}; give it more rows or a smaller share, make "
                    "the run shorter, or let it repeat (once: false)"
                )
        return recipe

    def stream(self, training: TrainingSettings, seed: int, start: int, share: tuple[int, int] = (0, 1)) -> Stream:
        """The mixed training rows from a place of the run on; of every batch the ``share`` (rank, ranks)."""
        settings = StreamSettings(training.batch, seed, training.window, *share, self.pattern.shares)
        return self.first.stream(SPLIT, settings, start=start, beside=self.datasets[1:])

    def origins(self, space_time: bool) -> tuple[Origin, ...]:
        """What the preparation of a batch needs of each data set."""
        found = zip(self.settings, self.datasets, strict=True)
        return tuple(Origin(data.grid if space_time else None, item.clip) for item, data in found)
