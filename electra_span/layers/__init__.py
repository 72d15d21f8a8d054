"""Layers of ELECTRA networks."""
