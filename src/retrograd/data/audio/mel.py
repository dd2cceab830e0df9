"""Log-mel features: the power of a sound in mel bands, frame by frame."""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass
from typing import Annotated

import numpy as np
from pydantic import ConfigDict, Field

from retrograd.base.errors import ConfigError

FLOOR = 1e-10  # minimum power, that of a silent frame: about the rounding noise of 16 bits, 2^-30 / 12
MOST_POINTS = 1 << 17  # maximum length of a Fourier transform

Count = Annotated[int, Field(gt=0)]


@dataclass(frozen=True)
class Form:
    """The form of sounds as a network reads them: samples per second, per sound, per frame and from one frame to the
    next, and the bands from `low` to `high` hertz.
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
        """The number of frames in a sound of full length."""
        return self.frames_of(self.samples)

    def frames_of(self, samples: int) -> int:
        """Return the number of frames in a number of samples; a sound shorter than a frame is padded to one."""
        return 1 + max(0, min(samples, self.samples) - self.window) // self.hop


def log_mel(sound: np.ndarray, form: Form) -> np.ndarray:
    """Return the log-mel features of a sound, frame by frame.

        P(t, k) = |sum_n w(n) s(t hop + n) exp(-2 pi i k n / N)|^2 / sum_n w(n)^2
        x(t, b) = log(max(sum_k F(k, b) P(t, k), 1e-10)),  w(n) = (1 - cos(2 pi n / window)) / 2

    P is a power: white noise of variance v has P = v on average, for any rate and window. For F see `filters`.

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
    """Return a frequency in mel, as defined in the Hidden Markov Model Toolkit: 2595 log10(1 + f / 700)."""
    return 2595 * math.log10(1 + hertz / 700)


def edges(form: Form) -> np.ndarray:
    """Return the band edges [bands + 2] in hertz, evenly spaced in mel from `low` to `high`.

    Band b begins at edge b, peaks at edge b + 1 and ends at edge b + 2.
    """
    return 700 * (10 ** (np.linspace(mel(form.low), mel(form.high), form.bands + 2) / 2595) - 1)


@functools.lru_cache(maxsize=8)
def filters(form: Form) -> np.ndarray:
    """Return triangular filters F [frequencies, bands] that rise to 1 at the peak of a band, linear in hertz.

    The number of points N of the transform is the smallest power of two, not below the window, with which each band
    contains a frequency.

    Raises:  ConfigError for bands so narrow that no reasonable transform resolves them
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
    message = f"{form.bands} bands from {form.low:g} to {form.high:g} Hz are too narrow: {narrow:.2g} Hz"
    raise ConfigError(message, where="data.audio.bands", cure="choose fewer bands or a wider range")
