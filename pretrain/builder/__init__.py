"""Building TFRecord files from corpora: settings, steps, worker processes and shards."""
