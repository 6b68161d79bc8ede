"""From events to behaviour: whose behaviour an event counts for, windows, feature vectors."""
