"""Music made on the spot, for the demo: 240 short clips in eight styles, by artists who do not exist.

`styles` names them, `render` makes the samples of one clip, `write_collection` a folder of tagged files. Nothing is
downloaded, and the same seed gives the same music.
"""

from __future__ import annotations

from volna.synthesis.collection import SAMPLE_RATE_HZ, render, styles, write_collection
from volna.synthesis.song import Habits, habits_of

__all__ = ["SAMPLE_RATE_HZ", "Habits", "habits_of", "render", "styles", "write_collection"]
