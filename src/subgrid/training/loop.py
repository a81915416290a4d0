"""The loop: from a recipe and a data set to a run, in as many segments as it is killed and started again.

A run is a folder. Its place is one integer, the rows given out; everything random follows from (seed, step); what a
checkpoint holds is all there is. So a run that was killed anywhere and started again with the same command ends with
the same bits as one that was not, on the same machine, with the same torch, threads, precision and compile setting.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from subgrid.errors import DatasetError, SettingsError, SubgridError
from subgrid.records.reader import Dataset
from subgrid.training import checkpoint, folder
from subgrid.training.progress import Reporter, Silence
from subgrid.training.run import Run
from subgrid.training.settings import RunRecipe, differing_keys
from subgrid.training.sources import Sources


@dataclass(frozen=True)
class RunSummary:
    """What became of a run.

    Attributes:
        run: its folder.
        rows: rows trained on.
        latest, best: names of checkpoints.
        scores: of the latest checkpoint on the first validation set, None without one.
        seconds: wall time of all segments, validation and checkpoints included.
    """

    run: Path
    rows: int
    latest: str
    best: str
    scores: Mapping[str, float | None] | None
    seconds: float


def train(
    recipe: RunRecipe,
    data: Dataset | Sequence[Dataset],
    out: Path,
    init: str | None = None,
    reporter: Reporter | None = None,
) -> RunSummary:
    """Train the recipe into the folder ``out``, or go on where that folder's latest checkpoint stands.

    Args:
        recipe: resolved.
        data: open data sets in the order of ``training.data``; their ``training`` splits are learnt, the ``validation``
            split of the first, if any, is scored (unless the recipe names other validation sets).
        out: the run's folder.
        init: another run, ``RUN`` or ``RUN@NAME``, whose weights are the first ones of a fresh run.
        reporter: who is told how it goes.

    Raises:
        SettingsError: ``out`` holds a run of another recipe or something else; ``init`` does not fit; the recipe wants
            other or more data than there are.
        DatasetError: ``out`` was trained on other data, its checkpoint is damaged, or data sets do not fit together.
        SubgridError: the loss is not finite; a checkpoint could not be written.
        KeyboardInterrupt, SystemExit: Ctrl-C or SIGTERM, after a checkpoint was saved.
    """
    _refuse_foreign(out)
    sources = Sources.of(recipe.training, data)
    recipe = sources.resolve(recipe)
    try:
        with folder.locked(out), torch.random.fork_rng():
            return _train(recipe, sources, out, init, reporter or Silence())
    except OSError as error:
        raise SubgridError(f"{out}: the run stopped: {error}; mend this and start the same command again") from error


def _train(recipe: RunRecipe, sources: Sources, out: Path, init: str | None, reporter: Reporter) -> RunSummary:
    latest = folder.read_pointer(out, "latest")
    if latest:
        _refuse_other(out, latest, recipe, sources)
    folder.write_text(out / "recipe.yaml", recipe.to_yaml())
    folder.write_text(out / folder.DATA, f"{sources.first.folder.resolve()}\n")
    run = Run(recipe, sources, out, reporter)
    run.start(latest, init)
    run.go()
    place = run.place
    return RunSummary(out, place.rows, place.latest, place.best, place.scores, place.seconds)


def _refuse_foreign(out: Path) -> None:
    if not out.exists():
        return
    if not out.is_dir():
        raise SettingsError(f"{out}: expected a folder for the run, found a file; choose another --out")
    ours = {"recipe.yaml", "metrics.jsonl", "checkpoints", folder.DATA, *folder.POINTERS}
    foreign = sorted(path.name for path in out.iterdir() if path.name not in ours and not path.name.startswith("."))
    if foreign and not (out / "recipe.yaml").exists():
        raise SettingsError(
            f"{out}: expected an empty folder or a run, found {', '.join(foreign[:5])}; choose another --out"
        )


def _refuse_other(out: Path, latest: str, recipe: RunRecipe, sources: Sources) -> None:
    card = checkpoint.read_card(folder.find_checkpoint(f"{out}@{latest}"))
    for name, digest in sources.digests.items():
        if (before := card["data"].get(name, digest)) != digest:
            raise DatasetError(
                f"{out} was trained on a data set ({name}) with digest {before}, but the given one, "
                f"{sources.named(name).folder}, has {digest}; go on with the same data, or train into another --out "
                "(with --init to start from these weights)"
            )
    if differing := differing_keys(card["recipe"], recipe.model_dump(mode="json")):
        raise SettingsError(
            f"{out} holds a run of another recipe, which cannot go on with this one; different are (there -> here): "
            f"{'; '.join(differing)}. Use that run's recipe ({out / 'recipe.yaml'}) or another --out"
        )
