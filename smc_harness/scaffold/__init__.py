"""A new distribution for a plugin, from templates."""
