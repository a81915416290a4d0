"""Pure functions of a column: pressure, moisture, energy, derived inputs; arrays in, arrays out, SI units."""
