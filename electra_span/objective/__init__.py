"""Pretraining objectives: masking, corruption of inputs by a generator, losses and metrics, and the joint model."""
