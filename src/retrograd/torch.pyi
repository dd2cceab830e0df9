"""What `from retrograd.torch import ...` offers; type checkers read this file."""

from retrograd.interop.torch.chart import Chart as Chart
from retrograd.interop.torch.chart import watch as watch
from retrograd.interop.torch.faults import faults as faults
from retrograd.interop.torch.gradient import check as check
