"""Evaluation of language models: what can be concluded from it, and what cannot."""
