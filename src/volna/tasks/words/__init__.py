"""Isolated words: where they begin and end, what they look like, and which of the known words they are.

Two recognisers that need no gradient live here, hidden Markov models (`hmm`) and dynamic time warping (`dtw`); both
take the cepstra of `features`. Their measure of success is the share of right words of a speaker never heard before.
"""
