"""Losses against numpy, written down here from the formula."""

import numpy as np
import pytest
import torch

from subgrid.model import Outputs
from subgrid.training.losses import PARTS, Goal, Loss

ROWS, WIDTH, EXTRA = 7, 5, 6
TRAINED = np.array([1, 0, 1, 1, 0], dtype=bool)


def distance(name: str, error: np.ndarray) -> np.ndarray:
    size = np.abs(error)
    if name == "huber":
        return np.where(size <= 1, 0.5 * error**2, size - 0.5)
    return size if name == "mae" else error**2


def draw(seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Prediction and confidence (7, 11), truth (7, 11) with zeros where not trained, known rows (7,)."""
    rng = np.random.default_rng(seed)
    prediction, confidence, truth = rng.normal(0, 2, size=(3, ROWS, WIDTH + EXTRA))
    truth[:, :WIDTH] *= TRAINED
    return prediction, confidence, truth, np.array([1, 0, 1, 1, 0, 1, 1], dtype=bool)


def tensor(values: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(np.asarray(values, dtype=np.float32))


@pytest.mark.parametrize("name", ["mae", "huber", "mse"])
def test_all_parts_are_masked_means_over_equally_weighted_columns(name: str) -> None:
    prediction, confidence, truth, known = draw()
    goal = Goal(tensor(truth[:, :WIDTH]), tensor(truth[:, WIDTH:]), tensor(known))
    loss, parts = Loss(name, torch.from_numpy(TRAINED))(Outputs(tensor(prediction), tensor(confidence)), goal)
    takes_part = np.concatenate(
        [np.broadcast_to(TRAINED, (ROWS, WIDTH)), np.repeat(known[:, None], EXTRA, axis=1)], axis=1
    )
    error = prediction - truth
    targets = distance(name, error[:, :WIDTH])[takes_part[:, :WIDTH]].mean()
    space_time = distance(name, error[:, WIDTH:])[takes_part[:, WIDTH:]].mean()
    estimate = np.abs(confidence - np.abs(error))[takes_part].mean()
    total = distance(name, error)[takes_part].mean() + estimate
    assert loss.item() == pytest.approx(total, rel=1e-6)
    assert dict(zip(PARTS, parts.tolist(), strict=True)) == pytest.approx(
        {"total": total, "targets": targets, "space_time": space_time, "confidence": estimate}, rel=1e-6
    )


def test_without_heads_only_the_trained_targets_count() -> None:
    prediction, _, truth, _ = draw(1)
    loss, parts = Loss("mae", torch.from_numpy(TRAINED))(
        Outputs(tensor(prediction[:, :WIDTH]), None), Goal(tensor(truth[:, :WIDTH]))
    )
    expected = np.abs(prediction - truth)[:, :WIDTH][:, TRAINED].mean()
    assert loss.item() == pytest.approx(expected, rel=1e-6)
    assert parts.tolist() == pytest.approx([expected, expected, 0, 0], rel=1e-6)


def test_rows_of_unknown_place_do_not_count_at_all() -> None:
    prediction, confidence, truth, known = draw(2)
    goal = Goal(tensor(truth[:, :WIDTH]), tensor(truth[:, WIDTH:]), tensor(np.zeros(ROWS)))
    with_place, parts = Loss("mae", torch.from_numpy(TRAINED))(Outputs(tensor(prediction), None), goal)
    without, _ = Loss("mae", torch.from_numpy(TRAINED))(
        Outputs(tensor(prediction[:, :WIDTH]), None), Goal(goal.targets)
    )
    assert with_place.item() == pytest.approx(without.item())
    assert parts[PARTS.index("space_time")].item() == 0


def test_the_confidence_does_not_pull_at_the_prediction() -> None:
    prediction, confidence, truth, _ = draw(3)
    predicted = tensor(prediction[:, :WIDTH]).requires_grad_()
    estimated = tensor(confidence[:, :WIDTH]).requires_grad_()
    loss, _ = Loss("mae", torch.from_numpy(TRAINED))(Outputs(predicted, estimated), Goal(tensor(truth[:, :WIDTH])))
    loss.backward()
    count = ROWS * TRAINED.sum()
    error = (prediction - truth)[:, :WIDTH]
    expected = np.sign(error) * TRAINED / count
    np.testing.assert_allclose(predicted.grad.numpy(), expected, rtol=1e-6)
    slope = np.sign(confidence[:, :WIDTH] - np.abs(error)) * TRAINED / count
    np.testing.assert_allclose(estimated.grad.numpy(), slope, rtol=1e-6)


def test_pieces_of_a_batch_add_up_to_it() -> None:
    prediction, confidence, truth, known = (values[:6] for values in draw(4))
    goal = Goal(tensor(truth[:, :WIDTH]), tensor(truth[:, WIDTH:]), tensor(known))
    loss = Loss("huber", torch.from_numpy(TRAINED))
    outputs = Outputs(tensor(prediction), tensor(confidence))
    whole, counts = loss(outputs, goal), loss.counts(goal)
    assert counts.tolist() == [6 * TRAINED.sum(), 6 * known.sum()]
    pieces = [
        loss(Outputs(*(item[part] for item in outputs)), Goal(*(item[part] for item in goal)), counts)
        for part in (slice(0, 1), slice(1, 4), slice(4, 6))
    ]
    for place in (0, 1):
        torch.testing.assert_close(sum(piece[place] for piece in pieces), whole[place])
