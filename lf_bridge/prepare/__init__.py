"""Raw support logs in, a LLaMA-Factory dataset folder and a ledger out. The entry points are in ``prepare.py``."""
