"""The loop: from a recipe and a data set to a run, in as many segments as it is killed and started again.

A run is a folder. Its place is one integer, the rows given out; everything random follows from (seed, step); what a
checkpoint holds is all there is. So a run that was killed anywhere and started again with the same command ends with
the same bits as one that was not, on the same machine, with the same torch, threads, precision and compile setting.
"""

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import torch
from pydantic import ValidationError

from subgrid.disk import locked
from subgrid.errors import DatasetError, SettingsError, SubgridError
from subgrid.records.reader import Dataset
from subgrid.training import checkpoint, folder, machine
from subgrid.training.interruption import SegmentEndsError, Wish
from subgrid.training.processes import Processes
from subgrid.training.progress import Reporter, Silence
from subgrid.training.run import Run, Segment
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
        validation: of the latest checkpoint on each set, by its name.
        seconds: wall time of all segments, validation and checkpoints included.
        complete: whether the run has come to its end; False where a segment ended before its deadline.
    """

    run: Path
    rows: int
    latest: str
    best: str
    scores: Mapping[str, float | None] | None
    validation: Mapping[str, Mapping[str, float | None]]
    seconds: float
    complete: bool


def train(
    recipe: RunRecipe,
    data: Dataset | Sequence[Dataset],
    out: Path,
    init: str | None = None,
    reporter: Reporter | None = None,
    deadline: float | None = None,
) -> RunSummary:
    """Train the recipe into the folder ``out``, or go on where that folder's latest checkpoint stands.

    Called by each of several processes that torchrun or srun started, with the same arguments, it shares every batch
    among them; the first writes and tells. The number of processes may change from segment to segment.

    Args:
        recipe: resolved.
        data: open data sets in the order of ``training.data``; their ``training`` splits are learnt, the ``validation``
            split of the first, if any, is scored (unless the recipe names other validation sets).
        out: the run's folder.
        init: another run, ``RUN`` or ``RUN@NAME``, whose weights are the first ones of a fresh run.
        reporter: who is told how it goes.
        deadline: instant of ``time.monotonic()`` before which this segment must have saved and ended; it makes at least
            one step.

    Raises:
        SettingsError: ``out`` holds a run of another recipe or something else; ``init`` does not fit; the recipe wants
            other or more data than there are.
        DatasetError: ``out`` was trained on other data, its checkpoint is damaged, or data sets do not fit together.
        SubgridError: the loss is not finite; a checkpoint could not be written.
        KeyboardInterrupt, SystemExit: Ctrl-C or SIGTERM, after a checkpoint was saved.
    """
    sources = Sources.of(recipe.training, data)
    recipe = sources.resolve(recipe)
    try:
        with torch.random.fork_rng(), machine.opened(recipe.training) as fabric:
            segment = Segment(fabric, reporter or Silence(), deadline)
            with Processes.of(fabric).named(), ExitStack() as stack:
                return _train(recipe, sources, out, init, segment, stack)
    except OSError as error:
        raise SubgridError(f"{out}: the run stopped: {error}; mend this and start the same command again") from error


def _train(
    recipe: RunRecipe, sources: Sources, out: Path, init: str | None, segment: Segment, stack: ExitStack
) -> RunSummary:
    processes = Processes.of(segment.fabric)

    def enter() -> tuple[str | None, str]:
        _refuse_foreign(out)
        stack.enter_context(locked(out))
        latest = folder.read_pointer(out, "latest")
        if latest:
            _refuse_other(out, latest, recipe, sources)
        folder.write_text(out / "recipe.yaml", recipe.to_yaml())
        place = sources.first.folder  # a URL or a pointer is text
        folder.write_text(out / folder.DATA, f"{place.resolve() if isinstance(place, Path) else place}\n")
        return latest, sources.digest

    latest, digest = processes.first(enter)
    if digest != sources.digest:
        raise DatasetError(f"{sources.first.folder}: digest {sources.digest} here, {digest} for the first process")
    run = Run(recipe, sources, out, segment)
    run.start(latest, init)
    try:
        run.go()
        processes.wait()
    except SegmentEndsError as ended:
        processes.wait()
        if ended.wish != Wish.TIME_IS_UP:
            raise processes.told_once(ended.wish.end()) from None
    place = run.place
    scores = (place.scores, place.validation)
    return RunSummary(out, place.rows, place.latest, place.best, *scores, place.seconds, run.complete)


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
    try:
        before = type(recipe).model_validate(card["recipe"])  # with today's defaults for keys that are new
    except ValidationError as error:
        first = error.errors()[0]
        raise SettingsError(
            f"{out} was begun by another version of subgrid, whose recipe this one cannot read "
            f"({'.'.join(map(str, first['loc']))}: {first['msg']}); train into another --out"
        ) from error
    if differing := differing_keys(before.model_dump(mode="json"), recipe.model_dump(mode="json")):
        raise SettingsError(
            f"{out} holds a run of another recipe, which cannot go on with this one; different are (there -> here): "
            f"{'; '.join(differing)}. Use that run's recipe ({out / 'recipe.yaml'}) or another --out"
        )
