"""From feature vectors to verdicts: patterns, the model, and the reasons in words."""
