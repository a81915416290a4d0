"""The settings of a training run; this module stays free of torch so that recipes load fast."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal, Protocol, Self

from pydantic import BaseModel, ConfigDict, Field, NonNegativeFloat, NonNegativeInt, PositiveInt, model_validator

from subgrid.errors import SettingsError

Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]


class _Settings(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class DataSettings(_Settings):
    """One of the data sets that a run learns from; its folder is given where the run is started.

    Attributes:
        name: what it is called in the recipe, in plans and in metrics.
        share: its rows in one period of the mixture: shares 2 and 1 give first, first, second.
        once: never repeat a row; a run that would need more rows than there are is refused when it is planned.
        clip: r of the soft clip of its normalised targets beyond r times the minimum and maximum of the run's table
            (the winner: 1.1 for high-resolution rows); 0 clips nothing.
    """

    name: Name = "data"
    share: PositiveInt = 1
    once: bool = False
    clip: NonNegativeFloat = 0.0


class ValidationSettings(_Settings):
    """Rows that the network is scored on at the end of a sub-epoch.

    Attributes:
        name: what its scores are called in the metrics.
        data: name of the data set; the first one where none is given.
        split: of that data set.
        skip: rows of the split passed over before the first one that is scored.
        rows: how many are scored at most; 0 takes all that are left.
    """

    name: Name
    data: str | None = None
    split: Literal["validation", "training"] = "validation"
    skip: NonNegativeInt = 0
    rows: NonNegativeInt = 0


class TrainingSettings(_Settings):
    """How long, how fast and on what a network learns.

    A run is a number of rows, whatever the size of the data set: the stream of rows is endless. It is cut into equal
    sub-epochs; at the end of each the network is scored on its validation sets and a checkpoint is made.

    Attributes:
        data: the data sets that are mixed; the first one gives the statistics of the run and the length of an epoch.
        rows: length of the run in rows; what is left over after whole batches is not trained on. 0 with ``epochs``.
        epochs: length of the run in passes over the first data set instead; becomes ``rows`` when the run is planned.
        sub_epochs: equal pieces of the run.
        keep: sub-epochs (from 1) whose checkpoints are kept beside the latest and the best: RUN@58.
        batch: rows of one step, over all processes.
        accumulate: pieces that a process takes its share of a batch in, one after the other, to need less memory; the
            step is the same but that batch normalisation takes its moments over a piece (of all processes).
        window: shards whose rows are shuffled together.
        learning_rate: the largest rate.
        schedule: half-cosine with one value a sub-epoch (as the competition's winner did) or one a step.
        warm_up: sub-epochs of warm-up before the cosine, and ``warm_up_shape`` its form.
        decay_ratio: weight decay = ratio x current learning rate (decoupled, applied to every parameter).
        optimizer: ``adamw`` (as the winner), or ``muon``: orthogonalised steps for the matrices inside the network,
            AdamW for the rest (see ``training.optimizers``).
        betas, epsilon: of AdamW.
        momentum: of Muon.
        clip: largest norm of the gradient of a step; 0 clips nothing.
        average: decay of the exponential moving average of the weights that is scored and saved; 0 averages nothing.
        loss: distance of a prediction from its target, in normalised units.
        confidence: train a second head on the absolute error of the first.
        space_time: train six auxiliary outputs on where and when a column is.
        mirror: learn from mirror images of the rows too, drawn anew at every step: winds, stresses and accelerations of
            the opposite sign, east-west and north-south on their own (see ``training.mirror``).
        precision: ``auto`` is bf16-mixed where the device has the instructions, else 32-true.
        compile: let torch.compile make kernels of the network.
        threads: of one process on a CPU; 0 leaves torch's choice.
        device: ``auto`` takes an accelerator where there is one.
        validation: sets of rows that are scored at the end of a sub-epoch, the first of which decides the best
            checkpoint; without any, the validation split of the first data set where it has one.
        validation_rows: how many rows of that split are scored at most where ``validation`` names no sets; 0 takes all.
        validation_batch: rows predicted at once; does not change what is learnt.
        checkpoint_minutes: time between checkpoints within a sub-epoch.
        loggers: who gets the metrics besides metrics.jsonl: ``mlflow``, ``wandb``.
    """

    data: tuple[DataSettings, ...] = (DataSettings(),)
    rows: NonNegativeInt = 1_000_000
    epochs: NonNegativeFloat = 0.0
    sub_epochs: PositiveInt = 10
    keep: tuple[PositiveInt, ...] = ()
    batch: PositiveInt = 128
    accumulate: PositiveInt = 1
    window: PositiveInt = 16
    learning_rate: float = Field(default=1e-3, gt=0)
    schedule: Literal["sub_epoch", "step"] = "sub_epoch"
    warm_up: NonNegativeFloat = 0.0
    warm_up_shape: Literal["exp", "log", "linear"] = "exp"
    decay_ratio: NonNegativeFloat = 4.0
    optimizer: Literal["adamw", "muon"] = "adamw"
    betas: tuple[float, float] = (0.9, 0.999)
    epsilon: float = Field(default=1e-7, gt=0)
    momentum: float = Field(default=0.95, ge=0, lt=1)
    clip: NonNegativeFloat = 0.0
    average: float = Field(default=0.0, ge=0, lt=1)
    loss: Literal["mae", "huber", "mse"] = "mae"
    confidence: bool = True
    space_time: bool = True
    mirror: bool = False
    precision: Literal["auto", "32-true", "bf16-mixed"] = "auto"
    compile: bool = False
    threads: NonNegativeInt = 0
    device: Literal["auto", "cpu", "cuda", "mps"] = "auto"
    validation: tuple[ValidationSettings, ...] = ()
    validation_rows: NonNegativeInt = 0
    validation_batch: PositiveInt = 512
    checkpoint_minutes: float = Field(default=5.0, gt=0)
    loggers: tuple[Literal["mlflow", "wandb"], ...] = ()

    @model_validator(mode="before")
    @classmethod
    def _one_length(cls, given: Any) -> Any:
        """Rows or epochs: a recipe in epochs has no rows until it meets its data."""
        if not isinstance(given, dict) or not given.get("epochs"):
            return given
        if given.get("rows"):
            raise SettingsError(
                f"training.rows = {given['rows']} and training.epochs = {given['epochs']} both say how long the run "
                "is; set one of them to 0"
            )
        return {**given, "rows": 0}

    @model_validator(mode="after")
    def _names(self) -> Self:
        known = [item.name for item in self.data]
        if not 1 <= len(known) <= 127:
            raise SettingsError(f"training.data: expected 1 to 127 data sets, found {len(known)}")
        for key, names in (("data", known), ("validation", [item.name for item in self.validation])):
            if doubled := {name for name in names if names.count(name) > 1}:
                raise SettingsError(f"training.{key}: the name {min(doubled)!r} stands twice; a name is one of them")
        for item in self.validation:
            if item.data not in (None, *known):
                raise SettingsError(
                    f"training.validation: {item.name!r} names the data set {item.data!r}; training.data has "
                    f"{', '.join(known)}"
                )
        if self.validation and self.validation_rows:
            raise SettingsError(
                "training.validation_rows belongs to the one set that is scored without training.validation; give each "
                "set its rows there"
            )
        return self

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if beyond := [number for number in self.keep if number > self.sub_epochs]:
            raise SettingsError(f"training.keep: there is no sub-epoch {beyond[0]} of {self.sub_epochs}")
        if not self.rows and not self.epochs:
            raise SettingsError("training.rows = 0: a run needs at least one row, or training.epochs")
        if self.rows and self.rows // self.batch < self.sub_epochs:
            raise SettingsError(
                f"training.rows = {self.rows} gives {self.rows // self.batch} steps of training.batch = {self.batch} "
                f"rows: fewer than training.sub_epochs = {self.sub_epochs}; a sub-epoch needs at least one step"
            )
        if self.schedule == "sub_epoch" and self.warm_up != int(self.warm_up):
            raise SettingsError(
                f"training.warm_up = {self.warm_up} must be whole with training.schedule = sub_epoch, which keeps "
                "one learning rate through a sub-epoch; use schedule = step for a fraction"
            )
        if self.warm_up >= self.sub_epochs:
            raise SettingsError(
                f"training.warm_up = {self.warm_up} must be less than training.sub_epochs = {self.sub_epochs}"
            )
        return self


HARMLESS = (
    "out",
    "source",
    "records",
    "prediction",
    "training.threads",
    "training.precision",
    "training.compile",
    "training.device",
    "training.validation_batch",
    "training.checkpoint_minutes",
    "training.loggers",
    "training.keep",
)
"""Recipe keys that may change when a run is resumed: they do not decide what is learnt, but for the last bits."""


class RunRecipe(Protocol):
    """What training needs of a recipe; ``subgrid.recipe.Recipe`` is one."""

    @property
    def seed(self) -> int: ...

    @property
    def training(self) -> TrainingSettings: ...

    @classmethod
    def model_validate(cls, obj: Any) -> Self: ...

    def model_dump(self, *, mode: Literal["json"]) -> dict[str, Any]: ...

    def model_copy(self, *, update: Mapping[str, Any] | None = None) -> Self: ...

    def to_yaml(self) -> str: ...


def differing_keys(stored: dict[str, Any], asked: dict[str, Any]) -> list[str]:
    """Dotted keys, each with both values, in which two recipes would train differently; harmless keys left out."""
    before, after = _flat(stored), _flat(asked)
    names = [name for name in {**before, **after} if before.get(name) != after.get(name)]
    return [f"{name}: {before.get(name)} -> {after.get(name)}" for name in names if not _harmless(name)]


def _harmless(name: str) -> bool:
    return any(name == key or name.startswith(f"{key}.") for key in HARMLESS)


def _flat(tree: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    leaves: dict[str, Any] = {}
    for key, value in tree.items():
        name = f"{prefix}{key}"
        leaves |= _flat(value, f"{name}.") if isinstance(value, dict) and value else {name: _plain(value)}
    return leaves


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, Sequence) and not isinstance(value, str) else value
