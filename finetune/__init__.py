"""Fine-tuning and evaluation: tasks, their data, heads and metrics."""
