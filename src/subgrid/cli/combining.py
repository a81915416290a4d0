"""The command that combines predictions: ensemble."""

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from subgrid.cli import terminal

if TYPE_CHECKING:
    import numpy as np

    from subgrid.prediction.fitting import FitSettings
    from subgrid.prediction.members import Blend, Fit
    from subgrid.prediction.together import Together


class Method(StrEnum):
    """How weights are fitted."""

    least_squares = "least-squares"
    hill = "hill"


class By(StrEnum):
    """What has weights of its own."""

    all = "all"
    kind = "kind"
    variable = "variable"


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.command()(ensemble)


def ensemble(
    out: Annotated[Path, typer.Argument(help="Folder of the new prediction.")],
    predictions: Annotated[list[str], typer.Argument(metavar="[GROUP=]PREDICTION...", help="Folders of predictions of "
                                                     "the same rows; GROUP= puts one in a group.")],
    weights: Annotated[str | None, typer.Option(help="Between groups, as in low=0.35,high=0.65; equal inside "
                                                     "them.")] = None,
    fit: Annotated[str | None, typer.Option(metavar="TRUTH", help="Fit the weights on this data set or these raw "
                                            "steps.")] = None,
    method: Annotated[Method | None, typer.Option(help="Of the fit. Default: least-squares.")] = None,
    by: Annotated[By | None, typer.Option(help="What has fitted weights of its own: all targets together, a kind of "
                                               "target, a variable. Default: kind.")] = None,
    block_days: Annotated[int | None, typer.Option(help="Days of the blocks that are fitted on and tested on in turn. "
                                                        "Default: 5.", min=1)] = None,
    like: Annotated[Path | None, typer.Option(help="Take the weights of the same networks in this ensemble.")] = None,
) -> None:  # fmt: skip
    """Combine predictions of the same rows to their mean, which is a prediction like any other.

    Example: subgrid ensemble mean one two three
    """
    from subgrid.cli.folder_text import weights_text
    from subgrid.errors import UsageError
    from subgrid.prediction.ensemble import combine, refuse_out
    from subgrid.prediction.fitting import FitSettings
    from subgrid.prediction.shares import parse_weights
    from subgrid.prediction.together import Together, parse_given

    if sum(option is not None for option in (weights, fit, like)) > 1:
        raise UsageError("--weights, --fit and --like each decide the weights; give one of them")
    asked = {"method": method, "by": by, "block_days": block_days}
    chosen = {name: value for name, value in asked.items() if value is not None}
    if chosen and fit is None:
        raise UsageError("--method, --by and --block-days are of a fit; add --fit TRUTH")
    with terminal.usage():
        between = parse_weights(weights) if weights is not None else None
    settings = None if fit is None else FitSettings(fit, **chosen)  # type: ignore[arg-type]  # their values are its own
    together = Together([one for text in predictions for one in parse_given(text)])
    refuse_out(out, together)
    found, blend = _weights(together, between, settings, like)
    with terminal.progress("ensemble", "rows") as report:
        manifest = combine(together, found, out, blend, report)
    if blend.fit is not None and like is None:
        print(_fit_text(blend.fit))
        gain = blend.fit.gain.get("r2_294")
        if gain is None or gain.low is None or gain.low <= 0:
            terminal.say("fitted weights are not clearly better than equal ones on rows they were not fitted on")
    print(weights_text([member.model_dump() for member in manifest.members]))
    without = [str(one.folder) for one, stored in zip(together.given, together.stored, strict=True)
               if not stored.manifest.confidence]  # fmt: skip
    if 0 < len(without) < len(together.given):
        terminal.say(f"without confidence, since these have none: {', '.join(without)}")
    print(f"{out}: {manifest.rows:,} rows, the mean of {len(manifest.members)} networks")


def _weights(
    together: "Together", between: dict[str, float] | None, settings: "FitSettings | None", like: Path | None
) -> "tuple[np.ndarray, Blend]":
    from subgrid.prediction import fitting
    from subgrid.prediction.members import Blend
    from subgrid.prediction.shares import equal_weights, given_weights, weights_of

    if like is not None:
        return weights_of(like, together)
    if between is not None:
        return given_weights(together, between), Blend(method="given")
    if settings is None:
        return equal_weights(together), Blend(method="equal")
    with terminal.progress("fit", "rows") as report:
        found, fit = fitting.fit(together, settings, report)
    return found, Blend(method=settings.method, fit=fit)


def _fit_text(fit: "Fit") -> str:
    from subgrid.evaluation.intervals import FEW_BLOCKS

    lines = [f"fitted on {fit.rows:,} rows, tested on {fit.test_rows:,} rows of {fit.test_blocks} other blocks of "
             f"{fit.block_days} days" + (" (a weak interval)" if fit.test_blocks < FEW_BLOCKS else ""),
             f"{'':16}{'equal':>10}{'fitted':>10}{'gain':>10}   95 % within"]  # fmt: skip
    for name, one in fit.gain.items():
        if one.equal is None or one.fitted is None or name in ("competition", "r2_308"):
            continue  # a few columns without signal decide the last two; they are in the manifest
        bounds = "-" if one.low is None or one.high is None else f"{_number(one.low)} ... {_number(one.high)}"
        numbers = (one.equal, one.fitted, one.fitted - one.equal)
        lines.append(f"{name:16}{''.join(f'{_number(value):>10}' for value in numbers)}   {bounds}")
    return "\n".join(lines)


def _number(value: float) -> str:
    return f"{value:.4f}" if abs(value) < 1000 else f"{value:.2e}"
