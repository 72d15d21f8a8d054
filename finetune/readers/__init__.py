"""Readers of task files, which count bad rows."""
