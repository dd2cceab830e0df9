"""The `audio:` section: from sound files to log-mel features."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field

from retrograd.base.annotations import Expect, Words
from retrograd.base.errors import Problem
from retrograd.base.quantities import NonNegativeFloat, PositiveFloat
from retrograd.base.schema import Settings

HIGHEST_RATE = 1_000_000  # samples per second; a header with more is damaged
MOST_BANDS = 512
LONGEST = 10.0  # seconds; longer sounds are cut, unless `length` says otherwise
Rate = Annotated[int, Field(gt=0, le=HIGHEST_RATE), Expect(f"a positive integer up to {HIGHEST_RATE:,}")]
Bands = Annotated[int, Field(gt=0, le=MOST_BANDS), Expect(f"a positive integer up to {MOST_BANDS}")]


@dataclass(frozen=True)
class AudioSettings(Settings):
    """How sounds are found and converted to features.

    The data are a folder with a sub-folder of WAV files for each class, a folder of WAV files alone, or a table with a
    column of their paths (relative to the table's folder) and any target; with `transcript`, the target is the text of
    each sound, learned with the loss `ctc`. A folder with sub-folders named train, val and test contains the parts of
    the data, each with the same class folders.

    WAV files must be uncompressed, with integers of 8, 16, 24 or 32 bits or floats of 32 or 64 bits; several channels
    are averaged. Files with another sample rate are resampled.

    `x` contains for each frame the logarithm of the power in each mel band, standardised on the training part unless
    `scale` is set, and 0 after the end of a shorter sound; `mask` is true where there is a frame.
    """

    column: Annotated[
        str | None, Words("the column with the paths of the sounds", why="one named path, file, audio or filename")
    ] = None
    sample_rate: Annotated[
        Rate | None,
        Words(
            "samples per second at which sounds are read",
            more="keeps higher frequencies, but is slower",
            less="is faster",
            why="the rate of most files",
        ),
    ] = None
    length: Annotated[
        PositiveFloat | None,
        Words(
            "seconds per sound; longer ones are cut, shorter ones padded",
            more="keeps more of each sound, but is slower",
            less="is faster, but cuts more",
            why=f"the longest sound, up to {LONGEST:g} seconds",
        ),
    ] = None  # seconds
    bands: Annotated[
        Bands,
        Words(
            "number of mel bands, the features of a frame",
            more="resolves pitch better",
            less="is faster, but coarser",
            why="usual for speech",
        ),
    ] = 40
    window: Annotated[
        PositiveFloat,
        Words(
            "milliseconds per frame",
            more="resolves pitch better",
            less="resolves time better",
            why="speech is steady for that long",
        ),
    ] = 25.0  # milliseconds
    hop: Annotated[
        PositiveFloat,
        Words(
            "milliseconds from one frame to the next",
            more="gives fewer frames, faster",
            less="resolves time better",
            why="usual for speech",
        ),
    ] = 10.0  # milliseconds
    low: Annotated[
        NonNegativeFloat, Words("hertz at which the lowest band begins", more="excludes hum", why="nothing is excluded")
    ] = 0.0  # hertz
    high: Annotated[
        PositiveFloat | None,
        Words("hertz at which the highest band ends", less="excludes hiss", why="half the sample rate"),
    ] = None  # hertz

    transcript: Annotated[
        str | None, Words("the column with the text of each sound", why="the table's target is learned instead")
    ] = None
    unit: Annotated[
        Literal["characters", "words"],
        Words("the unit of a token in the transcript", why="there are few characters, and no word is unknown"),
    ] = "characters"

    def rules(self) -> Iterator[Problem]:
        """Yield the problems that concern several fields."""
        if self.hop > self.window:
            message = f"{self.hop:g} ms would skip samples between frames of {self.window:g} ms"
            yield Problem("hop", message, "choose at most the window")
        if self.high is not None and self.high <= self.low:
            yield Problem("high", f"{self.high:g} Hz is not above `low`, {self.low:g} Hz", "choose a higher frequency")
