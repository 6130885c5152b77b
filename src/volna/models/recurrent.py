"""The recurrent autoencoder: sequence to sequence over frames (Sutskever et al., 2014; Srivastava et al., 2015).

One network reads the frames in order; its state after every 16 frames, made smaller, is the latent. Another writes the
frames, given at each of them the latent that it belongs to and its place in it. With ``attention`` the writer also
looks over all latents of the window, weighing them by its own state (Luong et al., 2015, "general"). It looks at the
encoder's states as they are *after* the bottleneck: a look at the raw states would walk around the latent.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from volna.errors import ModelError
from volna.models.layers import pad_frames

__all__ = ["CELLS", "FrameReader", "FrameWriter", "RecurrentAutoencoder", "RecurrentConfig"]

CELLS: dict[str, Any] = {"gru": nn.GRU, "lstm": nn.LSTM}
STRIDE = 16


@dataclass(frozen=True)
class RecurrentConfig:
    """``n_mels`` bands in; ``latent`` numbers every 16 frames; ``hidden`` units; ``cell``, gru or lstm."""

    n_mels: int = 72
    latent: int = 64
    hidden: int = 128
    cell: str = "gru"
    attention: bool = True


def _cell(name: str, n_in: int, n_hidden: int) -> Any:
    if name not in CELLS:
        raise ModelError(f"expected one of the cells {', '.join(CELLS)}, got {name!r}")
    return CELLS[name](n_in, n_hidden, batch_first=True)


class FrameReader(nn.Module):
    """Frames -> the state after every 16 of them: ``(B, n_mels, T) -> (B, hidden, ceil(T / 16))``."""

    def __init__(self, n_mels: int, hidden: int, cell: str) -> None:
        super().__init__()
        self.rnn = _cell(cell, n_mels, hidden)

    def forward(self, mel: Tensor) -> Tensor:
        states, _ = self.rnn(pad_frames(mel, STRIDE).transpose(1, 2))  # (B, T, hidden)
        return states[:, STRIDE - 1 :: STRIDE].transpose(1, 2)


class FrameWriter(nn.Module):
    """Latents -> the state at every frame: ``(B, latent, N) -> (B, 16 * N, hidden)``."""

    def __init__(self, latent: int, hidden: int, cell: str) -> None:
        super().__init__()
        self.into = nn.Linear(latent, hidden)
        self.places = nn.Parameter(0.5 * torch.randn(STRIDE, hidden))
        self.rnn = _cell(cell, hidden, hidden)

    def forward(self, latent: Tensor) -> Tensor:
        columns = self.into(latent.transpose(1, 2))[:, :, None]  # (B, N, 1, hidden)
        frames = (columns + self.places).flatten(1, 2)
        # The state of zeros that it would begin with by itself, said aloud: else the ONNX exporter fixes the batch.
        begin = frames.new_zeros(1, latent.shape[0], self.rnn.hidden_size)
        return self.rnn(frames, (begin, begin) if isinstance(self.rnn, nn.LSTM) else begin)[0]


class RecurrentAutoencoder(nn.Module):
    """Conditioned log-mel ``(B, n_mels, T)`` <-> latent ``(B, latent, ceil(T / 16))``.

    Examples
    --------
    >>> model = RecurrentAutoencoder(RecurrentConfig(n_mels=20, latent=8, hidden=12))
    >>> out = model(torch.zeros(2, 20, 50))
    >>> out["latent"].shape, out["mel"].shape, model.attention(out["latent"]).shape
    (torch.Size([2, 8, 4]), torch.Size([2, 20, 50]), torch.Size([2, 64, 4]))
    """

    stride = STRIDE

    def __init__(self, config: RecurrentConfig) -> None:
        super().__init__()
        self.config = config
        self.reader = FrameReader(config.n_mels, config.hidden, config.cell)
        self.fold = nn.Linear(config.hidden, config.latent)
        self.writer = FrameWriter(config.latent, config.hidden, config.cell)
        self.query = nn.Linear(config.hidden, config.latent, bias=False) if config.attention else None
        self.context = nn.Linear(config.latent, config.hidden, bias=False) if config.attention else None
        self.out = nn.Linear(config.hidden, config.n_mels)

    def features(self, mel: Tensor) -> Tensor:
        """The reader's states, ``(B, n_mels, T) -> (B, hidden, ceil(T / 16))``."""
        return self.reader(mel)

    def encode(self, mel: Tensor) -> Tensor:
        """``(B, n_mels, T) -> (B, latent, ceil(T / 16))``; the last frame is repeated up to a multiple of 16."""
        return self.fold(self.features(mel).transpose(1, 2)).transpose(1, 2)

    def decode(self, latent: Tensor, n_frames: int | None = None) -> Tensor:
        """``(B, latent, N) -> (B, n_mels, n_frames)``, 16 frames a latent where ``n_frames`` is not given."""
        states = self.writer(latent)  # (B, T, hidden)
        if self.context is not None:
            seen = self._weights(states, latent) @ latent.transpose(1, 2)  # (B, T, latent)
            states = states + self.context(seen)
        return self.out(states).transpose(1, 2)[..., :n_frames]

    def forward(self, mel: Tensor) -> dict[str, Tensor]:
        latent = self.encode(mel)
        return {"mel": self.decode(latent, mel.shape[-1]), "latent": latent}

    def attention(self, latent: Tensor) -> Tensor:
        """How much each frame that is written looks at each latent: ``(B, latent, N) -> (B, 16 * N, N)``, sum 1."""
        return self._weights(self.writer(latent), latent)

    def _weights(self, states: Tensor, latent: Tensor) -> Tensor:
        if self.query is None:
            raise ModelError("this recurrent model was built without attention")
        return (self.query(states) @ latent / self.config.latent**0.5).softmax(dim=-1)
