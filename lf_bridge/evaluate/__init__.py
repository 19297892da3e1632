"""What training and quantization changed, measured on held-out conversations."""
