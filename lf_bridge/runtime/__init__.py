"""One interface to whatever serves a model: Ollama, or llama.cpp embedded in this process."""
