"""Log-mel features: the power of a sound in bands of pitch, frame by frame."""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass
from typing import Annotated

import numpy as np
from pydantic import ConfigDict, Field

from retrograd.base.errors import ConfigError

FLOOR = 1e-10  # power: about the rounding noise of 16 bits, 2^-30 / 12; a silent frame has this
MOST_POINTS = 1 << 17  # of a Fourier transform

Count = Annotated[int, Field(gt=0)]


@dataclass(frozen=True)
class Form:
    """The form of sounds as a network reads them: samples of a second, of a sound, of a frame and from one frame to the
    next; and the bands from `low` to `high` hertz.
    """

    __pydantic_config__ = ConfigDict(extra="forbid")

    rate: Count
    samples: Count
    window: Count
    hop: Count
    bands: Count
    low: Annotated[float, Field(ge=0, allow_inf_nan=False)]
    high: Annotated[float, Field(gt=0, allow_inf_nan=False)]

    @property
    def frames(self) -> int:
        """How many frames a whole sound has."""
        return self.frames_of(self.samples)

    def frames_of(self, samples: int) -> int:
        """Return how many frames lie within so many samples; what is shorter than a frame is filled up to one."""
        return 1 + max(0, min(samples, self.samples) - self.window) // self.hop


def log_mel(sound: np.ndarray, form: Form) -> np.ndarray:
    """Return the features of a sound's frames.

        P(t, k) = |sum_n w(n) s(t hop + n) exp(-2 pi i k n / N)|^2 / sum_n w(n)^2
        x(t, b) = log(max(sum_k F(k, b) P(t, k), 1e-10)),  w(n) = (1 - cos(2 pi n / window)) / 2

    P is a power: white noise of variance v has P = v on average, whatever rate and window. For F see `filters`.

    Shapes:  sound [samples], float64 -> [frames, bands], natural logarithms
    See:     torchaudio's MelSpectrogram with center=False and n_fft=N, divided by sum w^2
    """
    sound = sound[: form.samples]
    short = max(0, form.window - len(sound))
    sound = np.pad(sound, (0, short)) if short else sound
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(form.window) / form.window)
    window /= np.sqrt((window**2).sum())
    frames = np.lib.stride_tricks.sliding_window_view(sound, form.window)[:: form.hop]
    bank = filters(form)
    spectrum = np.fft.rfft(frames * window, 2 * (len(bank) - 1))
    power = spectrum.real**2 + spectrum.imag**2
    features: np.ndarray = np.log(np.maximum(power @ bank, FLOOR))
    return features


def mel(hertz: float) -> float:
    """Return a frequency in mel, as in the Hidden Markov Model Toolkit: 2595 log10(1 + f / 700)."""
    return 2595 * math.log10(1 + hertz / 700)


def edges(form: Form) -> np.ndarray:
    """Return where bands begin, peak and end [bands + 2], in hertz: evenly spaced in mel from `low` to `high`.

    Band b begins at edge b, peaks at edge b + 1 and ends at edge b + 2.
    """
    return 700 * (10 ** (np.linspace(mel(form.low), mel(form.high), form.bands + 2) / 2595) - 1)


@functools.lru_cache(maxsize=8)
def filters(form: Form) -> np.ndarray:
    """Return triangles F [frequencies, bands] that rise to 1 in a band's middle, linear in hertz.

    The N points of the transform are the power of two from the window's on at which each band has a frequency.

    Raises:  ConfigError for bands so narrow that no usual transform tells them apart
    """
    hertz, points = edges(form), 1 << (max(2, form.window) - 1).bit_length()
    while points <= MOST_POINTS or points < 2 * form.window:
        places = np.arange(points // 2 + 1)[:, None] * (form.rate / points)
        rising = (places - hertz[:-2]) / (hertz[1:-1] - hertz[:-2])
        falling = (hertz[2:] - places) / (hertz[2:] - hertz[1:-1])
        bank: np.ndarray = np.maximum(0, np.minimum(rising, falling))
        if (bank.max(0) > 0).all():
            return bank
        points *= 2
    narrow = float(np.diff(hertz).min())
    message = f"{form.bands} bands from {form.low:g} to {form.high:g} Hz are as narrow as {narrow:.2g} Hz"
    raise ConfigError(message, where="data.audio.bands", cure="choose fewer bands, or a wider range")
