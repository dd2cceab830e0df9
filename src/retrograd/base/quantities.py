"""The numeric types of settings."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from retrograd.base.annotations import Expect

LARGEST = 2**31 - 1  # XLA counts units, rows and steps in 32 bits
LARGEST_BYTES = 2**63 - 1
Integer = Annotated[int, Field(ge=-LARGEST, le=LARGEST), Expect("an integer")]
PositiveInt = Annotated[int, Field(gt=0, le=LARGEST), Expect("a positive integer")]
NonNegativeInt = Annotated[int, Field(ge=0, le=LARGEST), Expect("an integer, 0 or larger")]
ByteCount = Annotated[int, Field(gt=0, le=LARGEST_BYTES), Expect("a positive integer")]
AnySeed = Annotated[int, Field(ge=0, le=LARGEST_BYTES), Expect("an integer, 0 or larger")]
Number = Annotated[float, Field(allow_inf_nan=False), Expect("a finite number")]
PositiveFloat = Annotated[float, Field(gt=0, allow_inf_nan=False), Expect("a finite number > 0")]
NonNegativeFloat = Annotated[float, Field(ge=0, allow_inf_nan=False), Expect("a finite number >= 0")]
Share = Annotated[float, Field(gt=0, lt=1, allow_inf_nan=False), Expect("a number between 0 and 1 (exclusive)")]
Fraction = Annotated[float, Field(ge=0, lt=1, allow_inf_nan=False), Expect("a number in [0, 1)")]
Probability = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False), Expect("a number in [0, 1]")]
