"""Interoperation with other libraries."""

from retrograd.interop import torch as torch
