//! ONNX files that both of PyTorch's exporters wrote, against PyTorch's own numbers.
