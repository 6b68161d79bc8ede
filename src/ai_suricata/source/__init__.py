"""Where events come from: each backend yields batches of lines and the position behind them."""
