"""What a corpus is like, and what of it had better be left out: duplicates, and text of evaluation files."""
