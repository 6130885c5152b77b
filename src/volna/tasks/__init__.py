"""What the vectors are good for, one task a file: pure functions on vectors and sounds, no catalogue behind them."""
