"""What a raw file can be: containers (tables, JSON, text) and what stands in them, one file a format."""
