"""The page of a run: one file that works offline, with its data, its style, its script and the library for charts."""
