"""Metrics of tasks, equal to the official evaluators; none imports TensorFlow."""
