"""Training an autoencoder on cached log-mels; begin reading at ``loop``."""

import os

# Read when torch loads its OpenMP: a thread that waits for another sleeps instead of spinning. Measured on two cores
# beside other busy programs: two spinning threads trained at a fifth of the speed of two sleeping ones.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

__all__: list[str] = []
