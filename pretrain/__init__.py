"""Pretraining data and objectives."""
