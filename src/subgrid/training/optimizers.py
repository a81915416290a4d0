"""What moves the weights: AdamW for all of them, or Muon for the matrices inside a network and AdamW for the rest.

Muon (Jordan et al. 2024, kellerjordan.github.io/posts/muon) keeps one moment of a matrix, B <- m B + G, and takes the
step along the nearest matrix whose singular values are all alike, U V^T of G + m B = U S V^T, which five Newton-Schulz
iterations in bfloat16 come close to: directions that gradients are weak in are learnt as fast as the strong ones.

    W <- W - rate x decay x W - rate x 0.2 sqrt(max(rows, columns)) U V^T

The factor gives a step the size of AdamW's (Liu et al. 2025, arXiv:2502.16982), so that one learning rate serves both.
"""

from collections.abc import Iterator, Mapping

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from subgrid.model.blocks import inner_matrices
from subgrid.training.settings import TrainingSettings


class Optimizers:
    """The optimisers of a network, as one.

    Args:
        network: on its device.
        training: which, and their settings.

    Attributes:
        by_name: ``optimizer`` (AdamW) and, where it has matrices, ``muon``; the names that their state is saved under.
    """

    def __init__(self, network: nn.Module, training: TrainingSettings) -> None:
        matrices = inner_matrices(network) if training.optimizer == "muon" else []
        apart = {id(matrix) for matrix in matrices}
        rest = [parameter for parameter in network.parameters() if id(parameter) not in apart]
        self.by_name: dict[str, Optimizer] = {
            "optimizer": torch.optim.AdamW(
                rest, lr=training.learning_rate, betas=training.betas, eps=training.epsilon, fused=True
            )
        }
        if matrices:
            self.by_name["muon"] = torch.optim.Muon(
                matrices, lr=training.learning_rate, momentum=training.momentum, adjust_lr_fn="match_rms_adamw"
            )

    def __iter__(self) -> Iterator[Optimizer]:
        return iter(self.by_name.values())

    def set(self, rate: float, decay: float) -> None:
        """The learning rate and the weight decay of the next step; a step takes rate x decay of every weight."""
        for optimizer in self:
            optimizer.param_groups[0].update(lr=rate, weight_decay=decay)

    def tensors(self) -> dict[str, Tensor]:
        """What they remember: ``optimizer.PLACE.exp_avg``, ``muon.PLACE.momentum_buffer`` and so on."""
        return {
            f"{name}.{place}.{part}": value
            for name, optimizer in self.by_name.items()
            for place, values in optimizer.state_dict()["state"].items()
            for part, value in values.items()
        }

    def load(self, tensors: Mapping[str, Tensor]) -> None:
        """Go on from ``tensors``; others among them are passed over."""
        for name, optimizer in self.by_name.items():
            state: dict[int, dict[str, Tensor]] = {}
            for key, value in tensors.items():
                if key.startswith(f"{name}."):
                    _, place, part = key.split(".", 2)
                    state.setdefault(int(place), {})[part] = value
            optimizer.load_state_dict({**optimizer.state_dict(), "state": state})


def moments_of(network: nn.Module, training: TrainingSettings) -> int:
    """How many numbers the optimisers remember: two a weight with AdamW, one with Muon."""
    matrices = inner_matrices(network) if training.optimizer == "muon" else []
    return 2 * sum(item.numel() for item in network.parameters()) - sum(item.numel() for item in matrices)
