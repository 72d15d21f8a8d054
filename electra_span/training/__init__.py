"""Training: the session of both trainers, its steps, loop, optimizer, checkpoints, logs and devices. Knows no model."""
