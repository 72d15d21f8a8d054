"""Export to SavedModel and ONNX."""
