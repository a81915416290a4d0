"""How good a prediction is: contributions of samples -> sums that add -> scores that are functions of sums."""
