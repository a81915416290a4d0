"""Inputs that follow from other inputs; written with operators alone, so numpy arrays and torch tensors both pass."""


def wind_speed(u, v):  # type: ignore[no-untyped-def]
    """Horizontal wind speed sqrt(u2 + v2) in m/s, elementwise, from components in m/s."""
    return (u * u + v * v) ** 0.5
