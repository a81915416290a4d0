"""Moments that add up, and the frozen table of them that other rooms use."""
