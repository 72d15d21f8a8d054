"""A local web page to try models, and JSON endpoints beside it: `python -m electra_span serve MODEL...`."""
