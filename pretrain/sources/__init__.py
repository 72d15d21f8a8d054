"""Reads text in every form it comes in: plain or packed files, tables, JSON, archives, of any encoding."""
