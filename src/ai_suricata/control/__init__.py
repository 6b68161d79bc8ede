"""The control socket: what an operator's command line says to the running daemon."""
