"""New sounds: what a whole sound is among others, how a new one is drawn, and how like real ones the drawn are.

An autoencoder of the models turns log-mels into latents and back; everything about whole sounds lives here, with numpy
alone. The measure of success is the Frechet distance between generated and held-out real sounds on Volna's own
embedding, beside that between training and held-out sounds, with generated sounds no nearer to the training sounds
than the held-out ones are (`judging`).
"""
