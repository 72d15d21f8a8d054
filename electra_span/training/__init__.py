"""Training: steps, the loop, optimizer, checkpoints, logs and devices. Knows no model."""
