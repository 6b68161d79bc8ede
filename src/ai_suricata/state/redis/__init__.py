"""State in Redis: what several instances share, and what outlives the machine."""
