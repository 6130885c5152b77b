"""A path becomes samples, and samples become a file."""

from volna.audio.channels import ChannelStream, Sound, open_channels, read_channels
from volna.audio.coded import CodedWindow, CodedWindows
from volna.audio.decode import SEGMENTS, AudioFile, decode, open_audio, windows_of
from volna.audio.encode import encode
from volna.audio.formats import AUDIO_EXTENSIONS, looks_like_audio
from volna.audio.signal import level_db, peak, resample, to_mono

__all__ = [
    "AUDIO_EXTENSIONS",
    "SEGMENTS",
    "AudioFile",
    "ChannelStream",
    "CodedWindow",
    "CodedWindows",
    "Sound",
    "decode",
    "encode",
    "level_db",
    "looks_like_audio",
    "open_audio",
    "open_channels",
    "peak",
    "read_channels",
    "resample",
    "to_mono",
    "windows_of",
]
