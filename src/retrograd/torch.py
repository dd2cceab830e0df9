"""`import retrograd.torch`: another name of `retrograd.interop.torch`, the doctor for PyTorch."""

import sys

from retrograd.interop import torch

sys.modules[__name__] = torch
