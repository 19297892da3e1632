"""The front door: each command parses its options, calls one thing and prints the result."""
