"""What models say of raw strings: TensorFlow functions that Python, commands and a SavedModel share."""
