"""Pruning a checkpoint on disk, whatever its size: from one folder of safetensors to another."""
