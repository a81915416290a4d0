"""The plan of a run against what the run then does, and against counts that can be made by hand."""

import json
from pathlib import Path

import pytest
import torch

from subgrid.errors import DatasetError, SettingsError
from subgrid.training import checkpoint, folder
from subgrid.training.loop import train
from subgrid.training.plan import plan
from subgrid.training.sources import Sources

TWO = [
    "training.data=[{name: low, share: 3}, {name: high, share: 1, once: true, clip: 1.2}]",
    "training.validation=[{name: a, rows: 30}, {name: b, data: high, split: training, skip: 5, rows: 20}]",
    "training.validation_rows=0",
    "training.keep=[2]",
]


def planned(recipe, *data) -> dict:
    return plan(recipe, Sources.of(recipe.training, data))


def test_the_plan_is_what_the_run_does(data, unvalidated, tiny, tmp_path: Path) -> None:
    recipe = tiny(*TWO, "training.rows=0", "training.epochs=0.25", "training.warm_up=1")
    found = planned(recipe, data, unvalidated)
    summary = train(recipe, [data, unvalidated], tmp_path / "run")
    lines = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()][:-1]
    card = checkpoint.read_card(folder.find_checkpoint(tmp_path / "run"))
    assert (found["rows"], found["parameters"]) == (summary.rows, card["parameters"]) == (128, card["parameters"])
    assert (found["steps"], found["batch"], found["epochs"], found["rows_per_epoch"]) == (16, 8, 0.25, 512)
    assert found["steps_per_epoch"] == 64
    low, high = found["data"]
    assert {key: high[key] for key in ("name", "rows", "taken", "share", "once", "clip")} == {
        "name": "high", "rows": 456, "taken": 32, "share": 1, "once": True, "clip": 1.2,
    }  # fmt: skip
    assert (low["taken"], low["passes"], low["digest"]) == (96, 0.25, data.digest)
    assert [item["name"] for item in found["validation"]] == list(lines[0]["validation"]) == ["a", "b"]
    assert [(item["rows"], item["skip"]) for item in found["validation"]] == [(30, 0), (20, 5)]
    assert found["bytes_read"] == {"training": 128 * data.layout.stride, "validation": 150 * data.layout.stride}
    rate = found["schedule"]["learning_rate"]
    assert (rate["start"], rate["peak"]) == (0.005, 0.01)
    assert max(line["learning_rate"] for line in lines) == rate["peak"]
    assert rate["end"] == lines[-1]["learning_rate"]
    assert found["kept"] == [2] and "2" in folder.checkpoint_names(tmp_path / "run")
    json.dumps(found, allow_nan=False)


@pytest.mark.parametrize("layers", [[8], [24, 40]])
@pytest.mark.parametrize("batch", [4, 48])
def test_memory_of_an_mlp_counted_by_hand(layers: list[int], batch: int, data, tiny) -> None:
    """In float32 autograd keeps the input of the first layer, and before and after swish every hidden layer."""
    recipe = tiny("model.name=mlp", f"model.layers={layers}", f"training.batch={batch}", "training.rows=960",
                  "training.confidence=false", "training.space_time=false", "training.average=0.5")  # fmt: skip
    found = planned(recipe, data)
    values = 28 * 60 + 16
    sizes = [values, *layers, 368]
    parameters = sum((into + 1) * out for into, out in zip(sizes, sizes[1:], strict=False))
    assert found["parameters"] == parameters
    memory = found["memory"]
    assert memory["weights"] == memory["gradients"] == memory["average"] == memory["optimizer"] / 2 == 4 * parameters
    assert memory["activations"] == 4 * batch * (values + 2 * sum(layers))
    assert memory["passing"] == 2 * 4 * batch * values
    assert memory["batches"] == 7 * batch * data.layout.stride
    assert memory["total"] == sum(memory.values()) - memory["total"]


def test_narrow_products_keep_less(data, tiny) -> None:
    sizes = ["model.width=64", "model.head=256", "training.rows=960"]
    wide, narrow = (
        planned(tiny(*sizes, f"training.precision={name}"), data)["memory"] for name in ("32-true", "bf16-mixed")
    )
    assert 0.4 * wide["activations"] < narrow["activations"] < 0.9 * wide["activations"]
    assert narrow["weights"] == wide["weights"]


def test_peak_of_a_schedule_by_step(data, tiny) -> None:
    recipe = tiny("training.schedule=step", "training.warm_up=0.5", "training.warm_up_shape=linear")
    rate = planned(recipe, data)["schedule"]["learning_rate"]
    assert rate["peak"] == pytest.approx(0.01)
    assert rate["start"] == pytest.approx(0.01 * 0.25 / 0.75)
    assert 0 < rate["end"] < 0.001


def test_what_the_run_would_refuse_the_plan_refuses(data, unvalidated, tiny) -> None:
    with pytest.raises(SettingsError, match="'high' is marked once"):
        planned(tiny(*TWO, "training.rows=2000"), data, unvalidated)
    with pytest.raises(DatasetError, match="no split 'validation'"):
        planned(tiny("training.validation=[{name: a}]", "training.validation_rows=0"), unvalidated)


def test_planning_draws_nothing(data, tiny) -> None:
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    planned(tiny(), data)
    assert torch.equal(torch.rand(3), expected)


@pytest.mark.parametrize(
    ("said", "unused"),
    [
        (["model.name=mlp"], ["width", "blocks", "head", "heads", "kernel"]),
        (["model.name=mlp", "model.scale_init=one"], ["width", "blocks", "head", "heads", "kernel", "scale_init"]),
        ([], ["layers"]),
    ],
)
def test_keys_that_the_network_makes_no_use_of_are_named(said: list[str], unused: list[str], data, tiny) -> None:
    """Those that the recipe says, wherever it says them; not those that have their defaults."""
    assert planned(tiny(*said), data)["unused"] == [f"model.{name}" for name in unused]
