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

HIGHEST_RATE = 1_000_000  # samples a second; a header that says more is damaged
MOST_BANDS = 512
LONGEST = 10.0  # seconds; longer sounds are cut, unless `length` says otherwise
Rate = Annotated[int, Field(gt=0, le=HIGHEST_RATE), Expect(f"a positive integer up to {HIGHEST_RATE:,}")]
Bands = Annotated[int, Field(gt=0, le=MOST_BANDS), Expect(f"a positive integer up to {MOST_BANDS}")]


@dataclass(frozen=True)
class AudioSettings(Settings):
    """How sounds are found and become features.

    The data are a folder with a sub-folder of WAV files for each class, a folder of WAV files alone, or a table with a
    column of their paths (meant from the table's folder) and any target; or, with `transcript`, the text that is to be
    written down of each sound, which is learned with the loss `ctc`. A folder whose sub-folders are named train,
    val and test holds the parts of the data, each with the same folders of classes.

    WAV files hold integers of 8, 16, 24 or 32 bits or numbers of 32 or 64 bits, uncompressed; several channels are
    averaged. A file of another sample rate is resampled.

    `x` holds for each frame the logarithm of the power in each mel band, standardised by the training part unless
    `scale` is set, and 0 where a shorter sound has ended; `mask` is true where a frame is.
    """

    column: Annotated[
        str | None, Words("the column with the sounds' paths", why="one named path, file, audio or filename")
    ] = None
    sample_rate: Annotated[
        Rate | None,
        Words(
            "samples a second at which sounds are read",
            more="higher pitches are heard; slower",
            less="faster",
            why="the rate of most files",
        ),
    ] = None
    length: Annotated[
        PositiveFloat | None,
        Words(
            "seconds of a sound; longer ones are cut, shorter ones filled up",
            more="hears more; slower",
            less="faster, cuts more",
            why=f"the longest sound, up to {LONGEST:g} seconds",
        ),
    ] = None  # seconds
    bands: Annotated[
        Bands,
        Words("mel bands: features of a frame", more="finer pitch", less="faster, coarser", why="usual for speech"),
    ] = 40
    window: Annotated[
        PositiveFloat,
        Words("milliseconds of a frame", more="finer pitch", less="finer time", why="speech is steady for so long"),
    ] = 25.0  # milliseconds
    hop: Annotated[
        PositiveFloat,
        Words("milliseconds from one frame to the next", more="fewer frames, faster", less="finer time", why="usual"),
    ] = 10.0  # milliseconds
    low: Annotated[
        NonNegativeFloat, Words("hertz at which the lowest band begins", more="leaves out hum", why="all is heard")
    ] = 0.0  # hertz
    high: Annotated[
        PositiveFloat | None,
        Words("hertz at which the highest band ends", less="leaves out hiss", why="half the sample rate"),
    ] = None  # hertz

    transcript: Annotated[
        str | None, Words("the column with what is to be written down of each sound", why="the target is the table's")
    ] = None
    unit: Annotated[
        Literal["characters", "words"],
        Words("what a token of the transcript is", why="characters: few, and no word is unknown"),
    ] = "characters"

    def rules(self) -> Iterator[Problem]:
        """Yield what is wrong between fields."""
        if self.hop > self.window:
            yield Problem("hop", f"{self.hop:g} ms skip samples between frames of {self.window:g} ms", "at most window")
        if self.high is not None and self.high <= self.low:
            yield Problem("high", f"{self.high:g} Hz is not above `low`, {self.low:g} Hz", "choose a higher one")
