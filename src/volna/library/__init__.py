"""The catalogue and what is made of it: scanning, storing, tags, the index, the rules of playlists, M3U8."""
