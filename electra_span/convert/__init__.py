"""Checkpoints of other tools: reading, conversion, and initial weights from them."""
