"""A bridge from support logs to a running model: LLaMA-Factory on one side, Ollama on the other."""

__version__ = "0.1.0"
