"""Where raw data come from: a simulation's steps in a folder or at a URL, or a small climate made up on the spot."""
