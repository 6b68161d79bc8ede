"""Settings: one frozen group for each package, read from config.env and the environment."""
