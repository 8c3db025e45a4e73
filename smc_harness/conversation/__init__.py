"""One task, one pruner, and the session plugins that listen: every hook call passes through here."""
