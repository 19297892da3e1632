"""Recipes: what to train, on what, and how it is published. Checked before anything is started."""
