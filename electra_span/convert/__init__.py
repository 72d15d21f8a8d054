"""Reading and writing the formats in which ELECTRA models are published."""
