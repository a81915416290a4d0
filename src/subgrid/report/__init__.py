"""A page to look at: predictions -> scores and a gallery of rows -> figures -> one self-contained HTML file."""

PAGE, FIGURES, PREDICTIONS = "index.html", "figures", "predictions"
"""What a report's folder holds: the page, its figures as files, and predictions made for it."""
