"""What detection is worth: labelled traffic, figures with intervals, baselines, training."""
