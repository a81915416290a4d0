"""A page to look at: predictions -> scores and a gallery of rows -> figures -> one self-contained HTML file."""
