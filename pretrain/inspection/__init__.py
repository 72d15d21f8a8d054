"""What a corpus is like: statistics, duplicates and overlap, as text, JSON and HTML."""
