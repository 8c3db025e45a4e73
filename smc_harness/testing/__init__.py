"""For authors of plugins: cells as items of pytest, and a fixture that runs the harness from a test."""
