"""A case: one prediction with everything that the page says of it; two passes over its rows."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from subgrid.errors import SettingsError
from subgrid.evaluation import scores as of_sums
from subgrid.evaluation.dataset import as_dataset
from subgrid.prediction.join import Joined
from subgrid.prediction.score import Scored, ScoreSettings, provenance, score
from subgrid.report.gallery import Gallery
from subgrid.report.subjects import Progress, Subject
from subgrid.training import checkpoint, metrics
from subgrid.training.keeper import METRICS

if TYPE_CHECKING:
    from xarray import Dataset


@dataclass(frozen=True, eq=False)
class Case:
    """What the page draws and says of one prediction.

    Attributes:
        subject: where it lies and how it is called.
        scored: scores as sums, for comparisons.
        scores: the same as named fields (``evaluation.dataset``).
        gallery: sampled rows and the worst columns.
        history: lines ``sub_epoch`` of the run's metrics, none without a run.
        card: the checkpoint's own account of itself, None without a run.
    """

    subject: Subject
    scored: Scored
    scores: "Dataset"
    gallery: Gallery
    history: Sequence[Mapping[str, Any]]
    card: Mapping[str, Any] | None

    @property
    def label(self) -> str:
        """Its name on the page."""
        return self.subject.label


def study(subject: Subject, progress: Progress) -> Case:
    """Score a prediction, then go through it once more for the gallery; raises what scoring raises."""
    with progress(f"score {subject.label}", "columns") as report:
        scored = score(subject.prediction, subject.truth, ScoreSettings(split=subject.split), report)
    joined = Joined(subject.prediction, subject.truth, subject.split)
    gallery = Gallery(joined.frame, of_sums.truth_std(scored.card.own))
    done = 0
    with progress(f"look at {subject.label}", "columns") as report:
        for rows in joined:
            gallery.add(rows)
            done += rows.row.size
            report(done, joined.rows)
    scores = as_dataset(scored.evaluation, provenance(scored.manifest))
    return Case(subject, scored, scores, gallery, _history(subject), _card(subject, scored.manifest.checkpoint))


def same_targets(cases: Sequence[Case]) -> None:
    """Raise SettingsError where cases are of differing variable sets: their figures cannot share axes."""
    names = [case.scored.manifest.variable_set for case in cases]
    if len(set(names)) > 1:
        listed = ", ".join(f"{case.label}: {name}" for case, name in zip(cases, names, strict=True))
        raise SettingsError(f"a report shows predictions of one variable set; found {listed}; make a report of each")


def _history(subject: Subject) -> list[dict[str, Any]]:
    if subject.run is None:
        return []
    return [line for line in metrics.whole_lines(subject.run / METRICS) if line.get("event") == "sub_epoch"]


def _card(subject: Subject, name: str) -> dict[str, Any] | None:
    return None if subject.run is None else checkpoint.read_card(subject.run / "checkpoints" / name)
