"""From plugins and options to cells."""
