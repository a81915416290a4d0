"""Column networks: (batch, level, channel) in, normalised targets out; built by name from settings and a shape."""

from subgrid.model.registry import ModelSettings, ModelShape, Outputs, build, compile_blocks, known_networks, register

__all__ = ["ModelSettings", "ModelShape", "Outputs", "build", "compile_blocks", "known_networks", "register"]
