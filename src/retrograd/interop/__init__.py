"""Where retrograd meets other libraries."""

from retrograd.interop import torch as torch
