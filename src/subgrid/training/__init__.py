"""From a data set and a recipe to a run: batches, losses, schedule, the loop, checkpoints, metrics."""
