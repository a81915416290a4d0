"""A trained emulator applied to columns: predictions in physical units, kept as records, scored against the truth."""
