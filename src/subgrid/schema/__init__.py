"""Names and places of numbers: the table of variables, the ordered sets of them, the grid they live on."""
