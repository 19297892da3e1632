"""Training and merging: LLaMA-Factory behind its command line, and the proof that it did what was asked."""
