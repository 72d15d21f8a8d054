"""What a model that answers questions gets right and wrong, and whether another is better; imports no TensorFlow."""
