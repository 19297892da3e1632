"""From a merged Hugging Face model to checked GGUF files: converted, quantized, inspected."""
