"""Local files that grow, are rotated, truncated, compressed and replaced."""
