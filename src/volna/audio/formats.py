"""Which files hold audio, by name and by their first bytes.

The extension decides for most files and costs nothing; a file with another extension, or none, is audio when it starts
with the signature of a container that carries audio. Neither promises that the file can be decoded: opening it does.
"""

from __future__ import annotations

import os

__all__ = ["AUDIO_EXTENSIONS", "looks_like_audio"]

# Everything libav decodes that is sold, recorded or archived as audio. Left out on purpose: playlists, cue sheets, MIDI
# and trackers (scores, not sound), and extensions that mean video first (avi, mkv, mov, mpg, ts, webm, flv, ...).
AUDIO_EXTENSIONS: frozenset[str] = frozenset(
    (
        # MPEG audio, AAC and their containers
        *(".mp3", ".mp2", ".mp1", ".mpa", ".mpga", ".aac", ".adts", ".m4a", ".m4b", ".m4p", ".m4r", ".mp4", ".3ga"),
        *(".aax", ".loas", ".latm"),
        # free and lossless
        *(".flac", ".fla", ".ogg", ".oga", ".opus", ".spx", ".mka", ".weba", ".ape", ".wv", ".tta", ".tak", ".shn"),
        *(".alac", ".mpc", ".mp+", ".mpp", ".ofr", ".ofs", ".osq", ".rka", ".bonk", ".la", ".oggflac", ".wvc"),
        # samples in a box
        *(".wav", ".wave", ".bwf", ".rf64", ".w64", ".aif", ".aiff", ".aifc", ".caf", ".au", ".snd", ".voc", ".iff"),
        *(".8svx", ".sph", ".nist", ".avr", ".pvf", ".ircam", ".sf", ".paf", ".sds", ".smp", ".qoa", ".rso"),
        # Microsoft, Real, Sony, discs, telephones
        *(".wma", ".asf", ".xwma", ".ra", ".ram", ".rm", ".oma", ".aa3", ".at3", ".at9", ".ac3", ".eac3", ".ec3"),
        *(".dts", ".dtshd", ".mlp", ".thd", ".truehd", ".dsf", ".dff", ".dss", ".amr", ".awb", ".gsm", ".qcp", ".3gpp"),
        *(".g722", ".adx", ".vqf", ".vag", ".wve", ".ac4"),
    )
)
AUDIO_EXTENSIONS -= {".ram", ".la", ".ac4"}  # a playlist; no decoder

HEAD = 64  # bytes read
SIGNATURES = (
    *(b"fLaC", b"ID3", b"wvpk", b"TTA1", b"TTA2", b"tBaK", b"MAC ", b"MP+", b"MPCK", b"OFR ", b"ajkg", b"qoaf"),
    *(b".snd", b"dns.", b"caff", b"DSD ", b"FRM8", b"#!AMR", b"Creative Voice File", b"NIST_1A", b"\x0b\x77", b"2BIT"),
    *(b"\x7f\xfe\x80\x01", b"\xfe\x7f\x01\x80", b"\xff\x1f\x00\xe8", b".RMF", b".ra\xfd", b"riff\x2e\x91\xcf\x11"),
    *(b"ADIF", b"EA3", b"ea3", b"DS2\x00", b"TWIN", b"OSQ ", b"ALawSoundFile"),
)
FORMS = {
    b"RIFF": (b"WAVE", b"XWMA", b"QLCM"),
    b"RIFX": (b"WAVE",),
    b"RF64": (b"WAVE",),
    b"BW64": (b"WAVE",),
    b"FORM": (b"AIFF", b"AIFC", b"8SVX", b"16SV", b"MAUD"),
}
MP4_BRANDS = (b"M4A ", b"M4B ", b"M4P ", b"F4A ", b"F4B ")  # the brands of audio; isom, mp42 and qt are mostly films


def looks_like_audio(path: str | os.PathLike[str]) -> bool:
    """Does the file start like one that holds audio? Reads 64 bytes.

    For files whose extension says nothing. One that cannot be read, or is no regular file, does not look like audio.

    Examples
    --------
    >>> looks_like_audio(__file__)
    False
    """
    try:
        if not os.path.isfile(path):
            return False  # a pipe would block
        with open(path, "rb", buffering=0) as file:
            head = file.read(HEAD)
    except (OSError, ValueError):
        return False
    return _starts_like_audio(head)


def _starts_like_audio(head: bytes) -> bool:
    if head.startswith(b"OggS"):
        return b"\x80theora" not in head  # a film starts with its video stream
    if head.startswith(SIGNATURES) or head[8:12] in FORMS.get(head[:4], ()):
        return True
    if head[4:8] == b"ftyp":
        return head[8:12] in MP4_BRANDS
    return _mpeg_or_adts(head)


def _mpeg_or_adts(head: bytes) -> bool:
    """An MPEG audio or ADTS frame header: eleven set bits, and no reserved value in the fields that follow.

    Layer I is left out: nobody has such files, and the mark at the start of a UTF-16 text looks like one.
    """
    if len(head) < 4 or head[0] != 0xFF or head[1] & 0xE0 != 0xE0:
        return False
    if head[1] & 0xF6 == 0xF0:  # ADTS: layer 0
        return head[2] >> 2 & 15 < 13
    version, layer = head[1] >> 3 & 3, head[1] >> 1 & 3
    return version != 1 and layer in (1, 2) and head[2] >> 4 not in (0, 15) and head[2] >> 2 & 3 != 3
