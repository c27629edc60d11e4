"""What the operators of ONNX are in torch: one function each, by family."""
