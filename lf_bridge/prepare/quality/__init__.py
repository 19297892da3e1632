"""Which conversations are worth learning from, and which say the same again."""
