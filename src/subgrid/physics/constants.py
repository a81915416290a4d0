"""Physical constants as E3SM and ClimSim's metrics use them, in SI units."""

GRAVITY = 9.80616
"""Acceleration of gravity, m/s2."""

HEAT_CAPACITY = 1004.64
"""Specific heat of dry air at constant pressure, J/kg/K."""

LATENT_HEAT_VAPORISATION = 2.501e6
"""Latent heat of vaporisation, J/kg."""

LATENT_HEAT_FUSION = 3.337e5
"""Latent heat of fusion, J/kg."""

WATER_DENSITY = 1000.0
"""Density of liquid water, kg/m3: turns a precipitation rate in m/s into kg/m2/s."""

GAS_CONSTANT_DRY = 287.0
"""Gas constant of dry air, J/kg/K, as in ClimSim's relative humidity."""

GAS_CONSTANT_VAPOUR = 461.0
"""Gas constant of water vapour, J/kg/K, as in ClimSim's relative humidity."""

STEFAN_BOLTZMANN = 5.670374419e-8
"""Stefan-Boltzmann constant, W/m2/K4."""

FREEZING = 273.16
"""Temperature at which ClimSim's saturation formulas are centred, K."""

SOLAR_CONSTANT = 1360.9
"""Total solar irradiance, W/m2."""
