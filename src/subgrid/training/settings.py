"""The settings of a training run; this module stays free of torch so that recipes load fast."""

from collections.abc import Sequence
from typing import Any, Literal, Protocol, Self

from pydantic import BaseModel, ConfigDict, Field, NonNegativeFloat, NonNegativeInt, PositiveInt, model_validator

from subgrid.errors import SettingsError


class TrainingSettings(BaseModel):
    """How long, how fast and on what a network learns.

    A run is a number of rows, whatever the size of the data set: the stream of rows is endless. It is cut into equal
    sub-epochs; at the end of each the network is scored on the validation split and a checkpoint is kept.

    Attributes:
        rows: length of the run in rows; what is left over after whole batches is not trained on.
        sub_epochs: equal pieces of the run.
        batch: rows of one step, over all processes.
        accumulate: pieces that a process takes its share of a batch in, one after the other, to need less memory; the
            step is the same but that batch normalisation takes its moments over a piece (of all processes).
        window: shards whose rows are shuffled together.
        learning_rate: the largest rate.
        schedule: half-cosine with one value a sub-epoch (as the competition's winner did) or one a step.
        warm_up: sub-epochs of warm-up before the cosine, and ``warm_up_shape`` its form.
        decay_ratio: weight decay = ratio x current learning rate (decoupled, applied to every parameter).
        betas, epsilon: of AdamW.
        clip: largest norm of the gradient of a step; 0 clips nothing.
        average: decay of the exponential moving average of the weights that is scored and saved; 0 averages nothing.
        loss: distance of a prediction from its target, in normalised units.
        confidence: train a second head on the absolute error of the first.
        space_time: train six auxiliary outputs on where and when a column is.
        precision: ``auto`` is bf16-mixed where the device has the instructions, else 32-true.
        compile: let torch.compile make kernels of the network.
        threads: of one process on a CPU; 0 leaves torch's choice.
        device: ``auto`` takes an accelerator where there is one.
        validation_rows: of the validation split at the end of a sub-epoch; 0 takes all.
        validation_batch: rows predicted at once; does not change what is learnt.
        checkpoint_minutes: time between checkpoints within a sub-epoch.
        loggers: who gets the metrics besides metrics.jsonl: ``mlflow``, ``wandb``.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    rows: PositiveInt = 1_000_000
    sub_epochs: PositiveInt = 10
    batch: PositiveInt = 128
    accumulate: PositiveInt = 1
    window: PositiveInt = 16
    learning_rate: float = Field(default=1e-3, gt=0)
    schedule: Literal["sub_epoch", "step"] = "sub_epoch"
    warm_up: NonNegativeFloat = 0.0
    warm_up_shape: Literal["exp", "log", "linear"] = "exp"
    decay_ratio: NonNegativeFloat = 4.0
    betas: tuple[float, float] = (0.9, 0.999)
    epsilon: float = Field(default=1e-7, gt=0)
    clip: NonNegativeFloat = 0.0
    average: float = Field(default=0.0, ge=0, lt=1)
    loss: Literal["mae", "huber", "mse"] = "mae"
    confidence: bool = True
    space_time: bool = True
    precision: Literal["auto", "32-true", "bf16-mixed"] = "auto"
    compile: bool = False
    threads: NonNegativeInt = 0
    device: Literal["auto", "cpu", "cuda", "mps"] = "auto"
    validation_rows: NonNegativeInt = 0
    validation_batch: PositiveInt = 512
    checkpoint_minutes: float = Field(default=5.0, gt=0)
    loggers: tuple[Literal["mlflow", "wandb"], ...] = ()

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.rows // self.batch < self.sub_epochs:
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
)
"""Recipe keys that may change when a run is resumed: they do not decide what is learnt, but for the last bits."""


class RunRecipe(Protocol):
    """What training needs of a recipe; ``subgrid.recipe.Recipe`` is one."""

    @property
    def seed(self) -> int: ...

    @property
    def training(self) -> TrainingSettings: ...

    def model_dump(self, *, mode: Literal["json"]) -> dict[str, Any]: ...

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
