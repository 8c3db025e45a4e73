"""JSON that people keep: read strictly, written whole."""
