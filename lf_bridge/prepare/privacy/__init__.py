"""Personal data: found and replaced, then looked for again by other rules."""
