"""From a GGUF to a tag that serves it, and the records of what was published."""
