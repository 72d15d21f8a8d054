"""Examples and the TFRecords that hold them."""
