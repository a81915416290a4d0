"""subgrid: machine-learned emulators of sub-grid atmospheric physics, from ClimSim's raw steps to a scored result."""

__version__ = "0.1.0"
