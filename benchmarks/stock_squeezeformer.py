"""The Squeezeformer from torch's stock layers, written without any code of subgrid.model: what `step.py` compares with.

nn.MultiheadAttention (fused attention inside), depthwise nn.Conv1d, nn.BatchNorm1d, nn.LayerNorm, nn.Linear. Parameters
stand in the same order as subgrid's, so `copy_parameters` can fill one from the other; tests compare both.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional


def _swiglu(x: Tensor) -> Tensor:
    value, gate = x.chunk(2, dim=-1)
    return value * functional.silu(gate)


class StockScale(nn.Module):
    """x * scale + bias."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(width))
        self.bias = nn.Parameter(torch.zeros(width))

    def forward(self, x: Tensor) -> Tensor:
        return x * self.scale + self.bias


class StockFeedForward(nn.Module):
    """width -> 4 width, SwiGLU, 2 width -> width, scale."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.expand = nn.Linear(width, 4 * width)
        self.project = nn.Linear(2 * width, width)
        self.scale = StockScale(width)

    def forward(self, x: Tensor) -> Tensor:
        return self.scale(self.project(_swiglu(self.expand(x))))


class StockBlock(nn.Module):
    """Convolution block, then attention block."""

    def __init__(self, width: int, heads: int, kernel: int) -> None:
        super().__init__()
        inner = 2 * width
        self.expand = nn.Linear(width, 2 * inner)
        self.convolution = nn.Conv1d(inner, inner, kernel, padding=kernel // 2, groups=inner, bias=False)
        self.batch_norm = nn.BatchNorm1d(inner, eps=1e-3, momentum=0.05)
        self.gate = nn.Conv1d(1, 1, 5, padding=2, bias=False)
        self.project = nn.Linear(inner, width)
        self.scale = StockScale(width)
        self.feed_forward = StockFeedForward(width)
        self.norm = nn.LayerNorm(width, eps=1e-6)
        self.attention = nn.MultiheadAttention(width, heads, batch_first=True)
        self.attention_scale = StockScale(width)
        self.attention_norm = nn.LayerNorm(width, eps=1e-6)
        self.last_feed_forward = StockFeedForward(width)
        self.last_norm = nn.LayerNorm(width, eps=1e-6)

    def forward(self, x: Tensor) -> Tensor:
        h = _swiglu(self.expand(x)).transpose(1, 2)  # (batch, channel, level)
        h = functional.silu(self.batch_norm(self.convolution(h)))
        h = h * torch.sigmoid(self.gate(h.mean(dim=2).unsqueeze(1))).transpose(1, 2)
        x = x + self.scale(self.project(h.transpose(1, 2)))
        x = self.norm(x + self.feed_forward(x))
        x = self.attention_norm(x + self.attention_scale(self.attention(x, x, x, need_weights=False)[0]))
        return self.last_norm(x + self.last_feed_forward(x))


class StockSqueezeformer(nn.Module):
    """The same function as subgrid's Squeezeformer; ``outputs`` channels of a level, ``profiles`` of them first."""

    def __init__(self, sizes: dict[str, int], channels: int, outputs: int, profiles: int) -> None:
        super().__init__()
        width, head = sizes["width"], sizes["head"]
        self.profiles = profiles
        self.embed = nn.Linear(channels, width, bias=False)
        self.embed_norm = nn.LayerNorm(width, eps=1e-6)
        self.blocks = nn.ModuleList(StockBlock(width, sizes["heads"], sizes["kernel"]) for _ in range(sizes["blocks"]))
        self.wide = nn.Linear(width, head)
        self.expand = nn.Linear(head, 2 * head)
        self.project = nn.Linear(head, head)
        self.heads = nn.ModuleList(nn.Linear(head, outputs) for _ in range(2))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        h = self.embed_norm(self.embed(x))
        for block in self.blocks:
            h = block(h)
        h = self.project(_swiglu(self.expand(functional.silu(self.wide(h)))))
        prediction, confidence = (self._columns(head(h)) for head in self.heads)
        return prediction, confidence

    def _columns(self, values: Tensor) -> Tensor:
        profiles = values[..., : self.profiles].transpose(1, 2).flatten(1)
        return torch.cat([profiles, values[..., self.profiles :].mean(dim=1)], dim=1)


@torch.no_grad()
def copy_parameters(stock: nn.Module, network: nn.Module) -> None:
    """Give the stock network the parameters of subgrid's, which stand in the same order.

    subgrid keeps the weights of its convolution over levels as (kernel, channel), torch as (channel, 1, kernel).
    """
    for (name, mine), theirs in zip(stock.named_parameters(), network.parameters(), strict=True):
        mine.copy_((theirs.t() if name.endswith("convolution.weight") else theirs).reshape(mine.shape))
