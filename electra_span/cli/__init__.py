"""The commands of `python -m electra_span` that run models on texts."""
