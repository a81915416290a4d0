"""A study: one recipe, a few changes to it, several seeds; what is not done yet is run, and every run leaves a line."""
