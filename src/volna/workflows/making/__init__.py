"""The verbs that make sound: vocode, denoise, generate, morph, encode, decode, and the trainings behind them."""
