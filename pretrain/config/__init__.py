"""Hparams of pretraining: defaults, bounds and which combinations are possible. Imports no TensorFlow."""
