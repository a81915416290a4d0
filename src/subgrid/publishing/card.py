"""The card of what is published (README.md with Hugging Face's front matter), and Kaggle's dataset-metadata.json."""

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from subgrid import __version__
from subgrid.errors import UsageError
from subgrid.prediction.store import PredictionManifest
from subgrid.publishing.contents import Bundle
from subgrid.records.manifest import Manifest
from subgrid.records.provenance import Provenance, portable
from subgrid.schema.variable_sets import variable_set
from subgrid.schema.variables import Variable
from subgrid.training import checkpoint, folder

CARD, KAGGLE = "README.md", "dataset-metadata.json"
REAL, MADE_UP = "cc-by-4.0", "apache-2.0"
_LICENCES = {REAL: ("CC BY 4.0", "CC-BY-4.0"), MADE_UP: ("Apache License 2.0", "Apache 2.0")}
LONGEST_TITLE = 50
"""Characters of a title that Kaggle allows."""
_SHORTEST_TITLE = 6

CITATION = """\
@article{yu2023climsim,
  title  = {ClimSim: A large multi-scale dataset for hybrid physics-ML climate emulation},
  author = {Yu, Sungduk and others},
  year   = {2023},
  eprint = {2306.08754},
  archivePrefix = {arXiv}
}"""


def licence_of(bundle: Bundle, wanted: str | None) -> str:
    """``cc-by-4.0`` or ``apache-2.0``: what is wanted, else what its data say of themselves.

    Apache only where all of them are made up; ClimSim's where one is not, or where a run or prediction of former times
    does not say what it was made from.

    Raises UsageError for another one.
    """
    if wanted is not None:
        if wanted.lower() not in _LICENCES:
            raise UsageError(f"--licence {wanted}: expected {' or '.join(_LICENCES)}")
        return wanted.lower()
    found = _provenance(bundle)
    return MADE_UP if found and all(one.made_up for one in found) else REAL


def _provenance(bundle: Bundle) -> tuple[Provenance, ...]:
    """Of all data that a bundle was made from; none where it does not say."""
    if isinstance(bundle.manifest, Manifest):
        return (bundle.manifest.provenance,)
    if isinstance(bundle.manifest, PredictionManifest):
        return bundle.manifest.provenance
    return checkpoint.provenance_of(folder.followed(bundle.path, checkpoint.read_card))


def card(bundle: Bundle, title: str, licence: str) -> str:
    """README.md of a bundle."""
    front = {"license": licence, "pretty_name": title, "tags": ["climate", "ClimSim", "subgrid"]}
    lines = ["---", *(f"{key}: {json.dumps(value)}" for key, value in front.items()), "---", "", f"# {title}", ""]
    lines += _described(bundle)
    lines += ["", "## Licence", "", f"{_LICENCES[licence][0]}. {_owner(licence)}", ""]
    if licence == REAL:
        lines += ["## Citation", "", "```bibtex", CITATION, "```", ""]
    lines += [f"Made and published with subgrid {__version__}; `subgrid inspect` shows more.", ""]
    return "\n".join(lines)


def _owner(licence: str) -> str:
    if licence == REAL:
        return (
            "Derived from the ClimSim data set of LEAP (E3SM-MMF simulations), which is published under CC BY 4.0: "
            "changed (columns stored as rows of one length, tendencies computed from the states before and after)."
        )
    return "Made-up data of a small model climate; no simulation of the real world."


def _described(bundle: Bundle) -> list[str]:
    if isinstance(bundle.manifest, Manifest):
        return _dataset(bundle.manifest)
    if isinstance(bundle.manifest, PredictionManifest):
        found = bundle.manifest
        network = found.network if found.members else f"{portable(found.run)}@{found.checkpoint}"
        facts = {"network": network, "checkpoint digest": found.checkpoint_digest,
                 "rows": f"{found.rows:,}", "variable set": found.variable_set,
                 "input": portable(found.input), "input digest": found.input_digest,
                 **_sources(found.provenance)}  # fmt: skip
        lines = ["Predicted tendencies in physical units, rows as TFRecord.", "", *_facts(facts), ""]
        return [*lines, "## Targets", "", *_variables(variable_set(found.variable_set).targets)]
    return _run(bundle.path)


def _dataset(manifest: Manifest) -> list[str]:
    rows = {split: manifest.rows(split) for split in ("training", "validation")}
    facts = {
        "rows": ", ".join(f"{count:,} {split}" for split, count in rows.items() if count),
        "shards": f"{len(manifest.shards)}, {sum(shard.bytes for shard in manifest.shards):,} bytes",
        "variable set": manifest.variable_set,
        "grid": f"{manifest.columns:,} columns, digest {manifest.grid[:16]}",
        "source": portable(manifest.source),
        "split": manifest.split,
        "digest": manifest.digest,
        "made": f"{manifest.created} by {manifest.program}",
    }
    lines = ["Columns of a climate model before and after its sub-grid physics, rows as TFRecord.", "", *_facts(facts)]
    lines += ["", "A value is stored as x times 2 to the power of `exponent`. Level 0 is the top of the model.", ""]
    for side in ("inputs", "targets"):
        lines += [f"## {side.capitalize()}", "", "| variable | levels | unit | exponent |", "|---|---|---|---|"]
        lines += [
            f"| {item.name} | {item.levels} | {item.unit} | {item.exponent} |" for item in getattr(manifest, side)
        ]
        lines += [""]
    return [*lines, "```python", "from subgrid.records.reader import Dataset", "",
            'batch = next(Dataset.open("PLACE").scan("training", 512))', "```"]  # fmt: skip


def _run(path: Path) -> list[str]:
    found = folder.followed(path, checkpoint.read_card)
    scores = {key: f"{value:.4f}" for key, value in (found.get("scores") or {}).items() if isinstance(value, float)}
    facts = {"network": found["recipe"]["model"]["name"], "parameters": f"{found['parameters']:,}",
             "rows learnt": f"{found['rows']:,}", "variable set": found["variables"],
             "data digest": found["data_digest"], **_sources(checkpoint.provenance_of(found)), **scores}  # fmt: skip
    lines = ["A network that emulates sub-grid physics of the atmosphere: recipe, metrics and checkpoints.", ""]
    lines += [*_facts(facts), "", "```console", "$ subgrid predict RUN DATASET OUT", "```"]
    names = variable_set(found["variables"])
    for title, items in (("Inputs", names.inputs), ("Targets", names.targets)):
        lines += ["", f"## {title}", "", *_variables(items)]
    return lines


def _sources(found: Sequence[Provenance]) -> dict[str, str]:
    """A fact on where the data come from, where that is known."""
    return {"source": "; ".join(f"{one.source}, {one.licence}" for one in found)} if found else {}


def _variables(items: Sequence[Variable]) -> list[str]:
    head = ["| variable | levels | unit |", "|---|---|---|"]
    return [*head, *(f"| {item.name} | {item.levels} | {item.unit} |" for item in items)]


def _facts(facts: dict[str, Any]) -> list[str]:
    return ["| | |", "|---|---|", *(f"| {name} | {value} |" for name, value in facts.items())]


def kaggle_metadata(identity: str, title: str, licence: str) -> bytes:
    """dataset-metadata.json for the ``kaggle`` client; raises UsageError for an identity that is not OWNER/SLUG."""
    if not re.fullmatch(r"[A-Za-z0-9-]+/[a-z0-9][a-z0-9-]{4,48}[a-z0-9]", identity):
        raise UsageError(
            f"--kaggle {identity}: expected OWNER/SLUG, with a slug of 6 to 50 small letters, digits and hyphens"
        )
    title = (title if len(title) >= _SHORTEST_TITLE else f"{title} data")[:LONGEST_TITLE]
    found = {"title": title, "id": identity, "licenses": [{"name": _LICENCES[licence][1]}]}
    return (json.dumps(found, indent=2) + "\n").encode()
