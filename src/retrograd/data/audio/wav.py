"""Reading a WAV file as samples between -1 and 1; errors name the file."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import BinaryIO, NamedTuple

import numpy as np

from retrograd.base.errors import DataError
from retrograd.data.audio.settings import HIGHEST_RATE
from retrograd.data.read.files import check_file

SUFFIXES = (".wav", ".wave")
INTEGERS, FLOATS, EXTENSIBLE = 1, 3, 0xFFFE  # format tags; an extensible header has the tag in its sub-format
COMPRESSED = {2: "ADPCM", 6: "A-law", 7: "mu-law", 17: "IMA ADPCM", 49: "GSM", 80: "MPEG", 85: "MP3", 0xFF: "AAC"}
BITS = {INTEGERS: (8, 16, 24, 32), FLOATS: (32, 64)}
OTHERS = {
    b"RIFX": "a big-endian WAV file (RIFX)",
    b"RF64": "a WAV file larger than 4 GB (RF64)",
    b"fLaC": "a FLAC file",
    b"OggS": "an Ogg file",
    b"FORM": "an AIFF file",
    b"ID3\x03": "an MP3 file",
    b"ID3\x04": "an MP3 file",
}
UNKNOWN_SIZE = 0xFFFFFFFF  # of sound written to a pipe, which ends with the file
LARGEST_FILE = 1 << 40  # bytes; the configured limit has been checked before
CONVERT = "convert it, for example with `ffmpeg -i IN -c:a pcm_s16le OUT.wav`"


class Head(NamedTuple):
    """The header of a file: samples per second, channels, number format, and the place of the sound."""

    rate: int
    channels: int
    tag: int
    bits: int
    start: int  # byte
    samples: int  # of each channel

    @property
    def seconds(self) -> float:
        """The length of the sound."""
        return self.samples / self.rate


def read_head(path: Path) -> Head:
    """Return the header of a WAV file, without reading the sound.

    Raises:  DataError for another kind of file, or one that is compressed, damaged, truncated or without sound
    """
    check_file(path, LARGEST_FILE)
    size = path.stat().st_size
    with path.open("rb") as stream:
        begin = stream.read(12)
        if not begin:
            raise DataError("the file is empty", where=str(path), cure="remove it, or write it again")
        if begin[:4] != b"RIFF" or begin[8:] != b"WAVE":
            raise DataError(f"expected a WAV file, found {OTHERS.get(begin[:4], 'another kind of file')}",
                            where=str(path), cure=CONVERT)  # fmt: skip
        form: tuple[int, int, int, int] | None = None
        while len(chunk := stream.read(8)) == 8:
            name, length = struct.unpack("<4sI", chunk)
            if name == b"data":
                return _checked_head(form, stream.tell(), length, size, path)
            after = stream.tell() + length + length % 2
            if name == b"fmt ":
                form = _form(stream, length, path)
            stream.seek(after)
    raise DataError("the file ends before the sound begins", where=str(path), cure="copy or record it again")


def read_samples(path: Path, head: Head, most: int) -> np.ndarray:
    """Return up to `most` samples from the start, float64 from -1 to 1, averaged over the channels.

    Raises:  DataError for a sample that is not finite
    """
    count = min(head.samples, most)
    with path.open("rb") as stream:
        stream.seek(head.start)
        raw = stream.read(count * head.channels * head.bits // 8)
    numbers = _numbers(raw, head.tag, head.bits).reshape(-1, head.channels)
    if not np.isfinite(numbers).all():
        row = int(np.argmin(np.isfinite(numbers).all(1)))
        message = f"sample {row + 1} is not a finite number"
        raise DataError(message, where=str(path), cure="record or convert the file again")
    mean: np.ndarray = numbers[:, 0] if head.channels == 1 else numbers.mean(1)
    return mean


def _form(stream: BinaryIO, length: int, path: Path) -> tuple[int, int, int, int]:
    """Return the format tag, channels, rate and bits of a `fmt ` chunk."""
    form = stream.read(min(length, 40))
    if len(form) < 16:
        raise DataError("the header is damaged: its format has less than 16 bytes", where=str(path), cure=CONVERT)
    tag, channels, rate, _, block, bits = struct.unpack("<HHIIHH", form[:16])
    if tag == EXTENSIBLE and len(form) >= 26:
        tag = struct.unpack("<H", form[24:26])[0]
    if tag not in BITS or bits not in BITS[tag]:
        kind = COMPRESSED.get(tag, f"format {tag}") if tag not in BITS else f"numbers of {bits} bits"
        expected = "integers of 8, 16, 24 or 32 bits, or floating-point numbers of 32 or 64"
        raise DataError(f"found {kind}, expected uncompressed {expected}", where=str(path), cure=CONVERT)
    if not 0 < rate <= HIGHEST_RATE or not channels or block != channels * bits // 8:
        values = f"{rate:,} samples per second, {channels} channels, {block} bytes per sample of all channels"
        raise DataError(f"the header is damaged: {values}", where=str(path), cure=CONVERT)
    return tag, channels, rate, bits


def _checked_head(form: tuple[int, int, int, int] | None, start: int, length: int, size: int, path: Path) -> Head:
    """Return the header for sound that starts at a byte, if the sound is complete."""
    if form is None:
        raise DataError("the header is damaged: the sound comes before its format", where=str(path), cure=CONVERT)
    tag, channels, rate, bits = form
    available = size - start
    length = available if length == UNKNOWN_SIZE else length
    if available < length:
        message = f"truncated: {available:,} of {length:,} bytes of sound"
        raise DataError(message, where=str(path), cure="copy it again")
    samples = length // (channels * bits // 8)
    if not samples:
        raise DataError("no sound: the file has no samples", where=str(path), cure="remove it, or record it again")
    return Head(rate, channels, tag, bits, start, samples)


def _numbers(raw: bytes, tag: int, bits: int) -> np.ndarray:
    """Return stored numbers as float64; integers are divided by their largest magnitude, and 8 bits are unsigned."""
    if tag == FLOATS:
        return np.frombuffer(raw, f"<f{bits // 8}").astype(np.float64)
    if bits == 8:
        return (np.frombuffer(raw, np.uint8).astype(np.float64) - 128) / 128
    if bits == 24:
        padded = np.zeros((len(raw) // 3, 4), np.uint8)
        padded[:, 1:] = np.frombuffer(raw, np.uint8).reshape(-1, 3)
        return padded.view("<i4").ravel() / 2.0**31
    return np.frombuffer(raw, f"<i{bits // 8}") / 2.0 ** (bits - 1)
