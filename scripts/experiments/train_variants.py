"""Train variants of the autoencoder on the music clips, without labels, and score what they hear.

    python scripts/experiments/train_variants.py --work /tmp/volna_experiments --variants base plain --seeds 0 1

Every run writes ``runs/VARIANT_SEED.npz``: pooled vectors of every clip, of its copies, of the notes and of ESC-10.
``--list`` prints the variants. About two minutes of one core a run of 800 steps.
"""

from __future__ import annotations

import argparse
import copy
import math
import os
import time
from dataclasses import asdict, replace
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import torch
from networks import Network, Settings, augment, contrast, modulation, pool
from score import block, evaluate, line, load_library, load_mels, standardise
from torch.nn import functional as F
from variants import VARIANTS

from volna.features.recipe import DESCRIPTOR_WEIGHTS

COPIES = ("gain", "resample", "mp3", "shift")


class Data:
    """Conditioned log-mels of one set of clips: each track's own level out, band means out, one spread."""

    def __init__(self, mels: list[np.ndarray], floor: float, like: Data | None = None) -> None:
        mels = [np.maximum(mel, mel.max() - floor) for mel in mels]
        mels = [mel - mel.mean() for mel in mels]
        self.mean = like.mean if like else np.mean([mel.mean(1) for mel in mels], 0)[:, None]
        self.std = like.std if like else float(np.sqrt(np.mean([np.mean((mel - self.mean) ** 2) for mel in mels])))
        self.mels = [torch.from_numpy(((mel - self.mean) / self.std).astype(np.float32)) for mel in mels]

    def windows(self, tracks: torch.Tensor, s: Settings) -> list[torch.Tensor]:
        """Two windows of each track, each ``(B, n_mels, T)``."""
        out = []
        starts = torch.rand(s.views, len(tracks))
        if s.near:
            starts[1] = (starts[0] + 0.1 * torch.rand(len(tracks))) % 1
        for view in starts:
            crops = []
            for i, at in zip(tracks.tolist(), view.tolist(), strict=True):
                mel = self.mels[i]
                start = int(at * (mel.shape[1] - s.n_frames + 1))
                crops.append(mel[:, start : start + s.n_frames])
            out.append(torch.stack(crops))
        return out


def schedule(done: float, warm_up: float = 0.08) -> float:
    """A line up, half a cosine down."""
    if done < warm_up:
        return (done + 0.01) / (warm_up + 0.01)
    return 0.01 + 0.99 * (1 + math.cos(math.pi * (done - warm_up) / (1 - warm_up))) / 2


def train(data: Data, descriptors: np.ndarray, s: Settings, seed: int, bf16: bool) -> tuple[Network, dict[str, float]]:
    """The average of the weights of one training, and its last losses."""
    torch.manual_seed(seed)
    n_mels, n = data.mels[0].shape[0], len(data.mels)
    net = Network(s, n_mels, descriptors.shape[1], n).to(memory_format=torch.channels_last)
    average = copy.deepcopy(net)
    optimizer = torch.optim.AdamW(net.parameters(), s.lr, weight_decay=s.weight_decay)
    wanted = torch.from_numpy(descriptors.astype(np.float32))
    alike = F.normalize(wanted, dim=1) @ F.normalize(wanted, dim=1).T
    losses: dict[str, float] = {}
    order = torch.randperm(n)
    for step in range(s.steps):
        if len(order) < s.batch:
            order = torch.cat([order, torch.randperm(n)])
        tracks, order = order[: s.batch], order[s.batch :]
        target, seen = augment(torch.cat(data.windows(tracks, s)), s)
        optimizer.zero_grad(set_to_none=True)
        with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
            latent = net.fold(net.hidden(seen))
            guess = net.decode(latent, s.n_frames) if s.reconstruct else None
        latent = latent.float()
        parts = {}
        if guess is not None:
            parts["reconstruct"] = s.reconstruct * F.mse_loss(guess.float(), target)
        if s.contrast:
            z = net.head(pool(latent, s)).chunk(s.views)
            parts["contrast"] = s.contrast * contrast(z[0], z[1], tracks, net, s, alike[tracks][:, tracks])
        if s.predict:
            parts["predict"] = s.predict * F.mse_loss(net.guess(pool(latent, s)), wanted[tracks].repeat(s.views, 1))
        sum(parts.values()).backward()
        torch.nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        for group in optimizer.param_groups:
            group["lr"] = s.lr * schedule(step / s.steps)
        optimizer.step()
        keep = min(s.ema, (1 + step) / (10 + step))
        with torch.no_grad():
            for slow, fast in zip(average.state_dict().values(), net.state_dict().values(), strict=True):
                slow.lerp_(fast, 1 - keep) if slow.is_floating_point() else slow.copy_(fast)
        for name, value in parts.items():
            losses[name] = 0.98 * losses.get(name, float(value.detach())) + 0.02 * float(value.detach())
    return average.eval(), losses


@torch.inference_mode()
def describe(net: Network, data: Data, s: Settings) -> dict[str, np.ndarray]:
    """Poolings of the latents (``z``) and of the layer before (``h``) of every clip."""
    rows: dict[str, list[np.ndarray]] = {}
    for mel in data.mels:
        mel = mel - abs(s.remove_mean) * mel.mean(-1, keepdim=True)
        h = net.hidden(mel[None])
        z = net.fold(h)[0].numpy()
        h = h[0].numpy()
        pooled = {
            "z_mean": z.mean(1),
            "z_std": z.std(1),
            "z_delta": np.diff(z, axis=1).std(1) if z.shape[1] > 1 else np.zeros(len(z)),
            "z_covariance": np.cov(z)[np.triu_indices(len(z))],
            "h_mean": h.mean(1),
            "h_std": h.std(1),
        }
        size = max(1, s.n_frames // net.stride)
        pieces = [z[:, i : i + size] for i in range(0, max(1, z.shape[1] - size + 1), max(1, size // 2))]
        pieces = torch.from_numpy(np.stack([np.resize(p, (len(p), size)) if p.shape[1] < size else p for p in pieces]))
        pooled["z_modulation"] = modulation(pieces, s.halvings).mean(0).flatten().numpy()
        pooled["p_mean"] = F.normalize(net.head(pool(pieces, s)), dim=1).mean(0).numpy()
        for name, value in pooled.items():
            rows.setdefault(name, []).append(value.astype(np.float32))
    return {name: np.stack(values) for name, values in rows.items()}


def teacher(work: Path) -> np.ndarray:
    """The descriptors that a network may be asked to foresee: the package's, weighted as it weighs them."""
    files = [np.load(work / f"descriptors_{name}.npz") for name in ("genres", "moods")]
    weights = DESCRIPTOR_WEIGHTS / np.sqrt(np.mean(DESCRIPTOR_WEIGHTS**2))
    return standardise(np.concatenate([file["values"] for file in files]), clip=3.0) * weights


def run(work: Path, name: str, seed: int, bf16: bool, full: bool) -> None:
    """Train, describe, save, print one line."""
    target = work / "runs" / f"{name}_{seed}.npz"
    if target.exists():
        return
    s: Settings = replace(Settings(), **VARIANTS[name])
    music = load_mels(work, "genres", s.layout) + load_mels(work, "moods", s.layout)
    fit = Data(music[:: s.every] + (load_mels(work, "songs", s.layout) if s.songs else []), s.floor)
    needed = s.predict or s.objective == "soft"
    descriptors = teacher(work)[:: s.every] if needed else np.zeros((len(fit.mels), 1))
    began = time.process_time()
    net, losses = train(fit, descriptors, s, seed, bf16)
    seconds = time.process_time() - began
    data = Data(music, s.floor, fit)
    vectors = describe(net, data, s)
    others = ["instruments", "esc10", "pairs"] if full else []
    out = dict(vectors)
    for kind in COPIES if full and s.layout == "low" else ():
        copied = Data(load_mels(work, "genres", kind) + load_mels(work, "moods", kind), s.floor, fit)
        out |= {f"{kind}/{k}": v for k, v in describe(net, copied, s).items()}
    for other in others:
        sounds = Data(load_mels(work, other, s.layout), s.floor, fit)
        out |= {f"{other}/{k}": v for k, v in describe(net, sounds, s).items()}
    target.parent.mkdir(exist_ok=True)
    np.savez(target, **out, seconds=seconds)
    lib = load_library(work)
    told = " ".join(f"{k} {v:.3f}" for k, v in losses.items())
    print(f"{name} {seed}: {seconds:.0f} s {told}")
    for kind in (("z_mean", "z_std"), ("z_std",), ("z_modulation",), ("h_mean", "h_std")):
        joined = block(np.concatenate([vectors[k] for k in kind], 1))
        print(line(f"   {'+'.join(kind)}", evaluate(joined, lib)), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, default=Path("/tmp/volna_experiments"))
    parser.add_argument("--variants", nargs="+", default=["base"])
    parser.add_argument("--seeds", nargs="+", type=int, default=[0])
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--no-bf16", action="store_true", help="float32 throughout (about 1.7 times as long)")
    parser.add_argument("--full", action="store_true", help="also copies of the clips, notes and ESC-10")
    parser.add_argument("--list", action="store_true", help="print the variants and stop")
    options = parser.parse_args()
    if options.list:
        for name, changes in VARIANTS.items():
            print(name, changes or asdict(Settings()))
        return
    torch.set_num_threads(options.threads)
    for seed in options.seeds:
        for name in options.variants:
            run(options.work, name, seed, not options.no_bf16, options.full)


if __name__ == "__main__":
    main()
