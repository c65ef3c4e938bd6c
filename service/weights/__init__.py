"""Uploaded weights: read without running anything in them, checked against their architecture, kept as safetensors."""
