"""Publishing: what is missing at the target is sent, and the file that makes it whole comes last."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

from subgrid.disk import unchanged
from subgrid.errors import DatasetError, SettingsError
from subgrid.publishing.card import CARD, KAGGLE, LONGEST_TITLE, card, kaggle_metadata, licence_of
from subgrid.publishing.contents import Bundle, bundle, crc32c_of, size_of
from subgrid.publishing.targets import Target, open_target
from subgrid.records.merge import merge
from subgrid.records.plan import Part
from subgrid.records.transfer import Patience
from subgrid.source.urls import is_remote, local_path


@dataclass(frozen=True)
class PublishSettings:
    """How something is published.

    Attributes:
        title: of its card; default the folder's name.
        licence: ``cc-by-4.0`` or ``apache-2.0``; default what the data say of themselves, see ``card.licence_of``.
        kaggle: OWNER/SLUG for dataset-metadata.json, which is written then.
        sets: into how many data sets a data set is cut; 1 leaves it whole.
        dry_run: say what would be sent, and send nothing.
    """

    title: str | None = None
    licence: str | None = None
    kaggle: str | None = None
    sets: int = 1
    dry_run: bool = False


@dataclass(frozen=True)
class Sent:
    """What became of one bundle.

    Attributes:
        label: where it is.
        files, bytes: that were sent, or would be.
        kept: files that were there already.
        copied: of the files, those that a folder for Kaggle got as copies, as hard links do not reach there.
    """

    label: str
    files: int
    bytes: int
    kept: int
    copied: int = 0


def publish(
    path: Path,
    target: str,
    settings: PublishSettings = PublishSettings(),
    progress: Callable[[int, int], None] | None = None,
    patience: Patience | None = None,
) -> list[Sent]:
    """Publish a data set, a run or a prediction; the same again sends what is missing.

    Cut into K sets, a data set becomes the K data sets TARGET/1-of-K ... TARGET/K-of-K.

    Raises:
        DatasetError: ``path`` is nothing that can be published, or damaged; the target is not there.
        SettingsError: a name, a licence or a target that cannot be used; somebody writes into ``path``.
        TransferError: the target cannot be reached.
    """
    if settings.sets == 1:
        with unchanged(path):
            return [_one(bundle(path), target, settings, progress, patience)]
    with TemporaryDirectory(prefix="subgrid-") as scratch:
        found = []
        for number in range(1, settings.sets + 1):
            name = f"{number}-of-{settings.sets}"
            here = Path(scratch) / name if is_remote(target) or settings.dry_run else local_path(target) / name
            merge(here, [path], Part(number, settings.sets))
            told = PublishSettings(
                f"{(settings.title or path.resolve().name)[: LONGEST_TITLE - len(name) - 1]} {name}", settings.licence,
                f"{settings.kaggle}-{name}" if settings.kaggle else None, 1, settings.dry_run,
            )  # fmt: skip
            found.append(_one(bundle(here), f"{target.rstrip('/')}/{name}", told, progress, patience))
        return found


def _one(
    found: Bundle,
    target: str,
    settings: PublishSettings,
    progress: Callable[[int, int], None] | None,
    patience: Patience | None,
) -> Sent:
    if settings.kaggle and found.kind == "run":
        raise SettingsError("--kaggle is for data sets and predictions, found a run")
    title, licence = settings.title or found.path.resolve().name, licence_of(found, settings.licence)
    extra = {CARD: card(found, title, licence).encode()}
    if settings.kaggle:
        extra[KAGGLE] = kaggle_metadata(settings.kaggle, title, licence)
    whole, place = found.beside(extra), open_target(target, patience, packed=settings.kaggle is not None)
    names = list(whole.files)
    missing = [name for name in names if not place.has(name, whole.files[name])]
    sent = Sent(place.label, len(missing), sum(size_of(whole.files[name]) for name in missing),
                len(names) - len(missing))  # fmt: skip
    if not settings.dry_run:
        _send(whole, missing, place, sent.bytes, progress)
    return replace(sent, copied=place.copied)


def _send(
    whole: Bundle, missing: list[str], place: Target, total: int, progress: Callable[[int, int], None] | None
) -> None:
    """All that is missing; nothing damaged leaves this machine, and the last file goes alone."""
    done, group = 0, 64
    *before, last = missing or [""]
    batches = [before[start : start + group] for start in range(0, len(before), group)] + ([[last]] if last else [])
    for names in batches:
        for name in names:
            expected = whole.checksums.get(name)
            if expected is not None and crc32c_of(whole.files[name]) != expected:
                raise DatasetError(
                    f"{whole.path / name}: its checksum is not the manifest's; see subgrid verify {whole.path}"
                )
        place.put([(name, whole.files[name]) for name in names])
        done += sum(size_of(whole.files[name]) for name in names)
        if progress:
            progress(done, total)
