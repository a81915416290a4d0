"""The report's figures: a module a family, pure functions from arrays to a matplotlib Figure; no pyplot, no files."""
