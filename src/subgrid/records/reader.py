"""A data set opened for reading: what it holds, its rows in stored order or as an endless shuffled stream."""

from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path

from subgrid.errors import DatasetError, InputError
from subgrid.records.blueprint import GRID_FILE, GRID_MEND, dataset_layout
from subgrid.records.bucket import Fetching
from subgrid.records.build import STATISTICS_FILE
from subgrid.records.example import RecordLayout
from subgrid.records.manifest import Manifest
from subgrid.records.place import Folder, Place, open_place
from subgrid.records.shards import Shards
from subgrid.records.splits import SPLITS
from subgrid.records.stream import Batch, Stream, StreamSettings, as_batch
from subgrid.schema.grid import Grid
from subgrid.schema.variable_sets import VariableSet, variable_set
from subgrid.statistics.table import Table, read_tables

__all__ = ["Batch", "Dataset", "Fetching", "Stream", "StreamSettings"]

_AHEAD = 3  # shards under way while rows are given out in stored order


class Dataset:
    """A finished data set in a folder, at a URL or behind a pointer; ``folder`` is what it is called in messages.

    ``scan`` gives every row once, ``stream`` gives them shuffled for ever; both in stored units.
    """

    def __init__(self, place: Place | Path, manifest: Manifest) -> None:
        self.place = Folder(place) if isinstance(place, Path) else place
        self.folder, self.manifest = self.place.folder, manifest
        self.variables: VariableSet = variable_set(manifest.variable_set)
        self.layout: RecordLayout = dataset_layout(self.variables, manifest.features.get("inputs", ("", 0))[0] == "<f8")
        self._shards: dict[str, Shards] = {}
        self._check()

    @classmethod
    def open(cls, folder: str | Path, fetching: Fetching | None = None) -> "Dataset":
        """Open a data set; raises DatasetError for anything else (see ``read_manifest``).

        Args:
            folder: a folder, any fsspec URL (as text), or a pointer file.
            fetching: cache and patience for what is not on this machine; default as the environment says.

        Raises:
            TransferError: a URL cannot be read.
        """
        place = open_place(folder, fetching)
        return cls(place, place.manifest())

    def _check(self) -> None:
        """This version must store the variables as the manifest says; units and exponents are part of the bytes."""
        for side, items in (("inputs", self.variables.inputs), ("targets", self.variables.targets)):
            found = [(item.name, item.levels, item.exponent) for item in getattr(self.manifest, side)]
            if found != [(item.name, item.levels, item.exponent) for item in items]:
                raise DatasetError(f"{self.folder}: its {side} are stored otherwise than in this version of subgrid")
        features = {feature.name: (feature.dtype, feature.width) for feature in self.layout.features}
        expected = (features, self.layout.stride, self.layout.offsets)
        if expected != (self.manifest.features, self.manifest.stride, self.manifest.offsets):
            raise DatasetError(f"{self.folder}: the record layout of the manifest is not that of this version")

    @property
    def digest(self) -> str:
        """Identity of the data set, wherever it lies."""
        return self.manifest.digest

    @cached_property
    def grid(self) -> Grid:
        """The grid; raises DatasetError when it is not the manifest's."""
        try:
            with self.place.local(GRID_FILE) as path:
                grid = Grid.read(path)
        except InputError as error:
            raise DatasetError(f"{error}; {GRID_MEND}") from error
        if grid.digest != self.manifest.grid:
            raise DatasetError(f"{self.place.label}/{GRID_FILE}: not the grid that the manifest names; {GRID_MEND}")
        return grid

    @property
    def splits(self) -> dict[str, int]:
        """Rows by split, those without rows left out."""
        return {split: self.manifest.rows(split) for split in SPLITS if self.manifest.rows(split)}

    def rows(self, split: str) -> int:
        """Rows of a split; raises DatasetError when there is no such split."""
        if split not in self.splits:
            raise DatasetError(f"{self.folder}: no split {split!r}; it has {', '.join(self.splits)}")
        return self.splits[split]

    @cached_property
    def _tables(self) -> dict[str, Table]:
        with self.place.local(STATISTICS_FILE) as path:
            return read_tables(path)

    def table(self, split: str = "training") -> Table:
        """Statistics of a split."""
        self.rows(split)
        if split not in self._tables:
            where = f"{self.place.label}/{STATISTICS_FILE}"
            raise DatasetError(f"{where}: holds no statistics of {split}; not this data set's")
        return self._tables[split]

    def shards(self, split: str) -> Shards:
        """The shards of a split."""
        self.rows(split)
        if split not in self._shards:
            chosen = [shard for shard in self.manifest.shards if shard.split == split]
            self._shards[split] = self.place.shards(chosen, self.layout)
        return self._shards[split]

    def stream(self, split: str, settings: StreamSettings, start: int = 0, beside: Sequence["Dataset"] = ()) -> Stream:
        """Rows of a split in the closed-form order, for ever; ``start`` rows have been given out already.

        The same split of the data sets ``beside`` is mixed in as ``settings.shares`` says.
        """
        return Stream(self.shards(split), settings, start, [other.shards(split) for other in beside])

    def scan(self, split: str, batch: int) -> Iterator[Batch]:
        """Every row of a split once, in stored order; the last batch of a shard may be short."""
        shards = self.shards(split)
        for index in range(len(shards.shards)):
            shards.ahead(range(index, min(index + _AHEAD, len(shards.shards))))
            records = shards.once(index)
            for start in range(0, records.shape[0], batch):
                yield as_batch(self.layout, records[start : start + batch])
            del records  # a cache must not have to hold it beside the next one
