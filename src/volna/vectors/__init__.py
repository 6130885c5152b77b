"""Vectors made comparable: standardising, joining, nearest rows, hubs, copies. numpy only.

Conventions
-----------
A *raw* vector is what the catalogue stores, float32 ``(dim,)`` in the units of its elements; NaN says that an element
does not exist for that sound. A *row* is a raw vector standardised and scaled to length 1, so that the product of two
rows is their cosine, the similarity in [-1, 1] of everything that Volna shows. A row of zeros (every element at the
centre, or nothing known) is similar to nothing, 0.

Fusion: the rows of several spaces are joined as ``[w_1 u_1, w_2 u_2, ...] / sqrt(sum w_i^2)``, so the similarity of two
joined rows is ``sum_i w_i^2 cos_i / sum_i w_i^2``, a weighted mean of the cosines.
"""

from volna.vectors.hubs import HUB_WEIGHT, corrected, crowding, hub_sample
from volna.vectors.recordings import COPY_COSINE, same_recording
from volna.vectors.rows import FUSION, JoinedRows, join, nearest, top_k, unit_rows
from volna.vectors.standardiser import CLIP, PRIOR_TRACKS, Standardiser

__all__ = [
    "CLIP",
    "COPY_COSINE",
    "FUSION",
    "HUB_WEIGHT",
    "PRIOR_TRACKS",
    "JoinedRows",
    "Standardiser",
    "corrected",
    "crowding",
    "hub_sample",
    "join",
    "nearest",
    "same_recording",
    "top_k",
    "unit_rows",
]
