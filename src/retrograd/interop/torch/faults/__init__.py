"""The faults of training loops, one file per family; importing this package registers them."""

from retrograd.interop.torch.fault import loop_faults as faults
from retrograd.interop.torch.faults import (
    answers as answers,
)
from retrograd.interop.torch.faults import (
    averages as averages,
)
from retrograd.interop.torch.faults import (
    data as data,
)
from retrograd.interop.torch.faults import (
    discarded as discarded,
)
from retrograd.interop.torch.faults import (
    gradients as gradients,
)
from retrograd.interop.torch.faults import (
    graph as graph,
)
from retrograd.interop.torch.faults import (
    holders as holders,
)
from retrograd.interop.torch.faults import (
    leaking as leaking,
)
from retrograd.interop.torch.faults import (
    loss as loss,
)
from retrograd.interop.torch.faults import (
    mode as mode,
)
from retrograd.interop.torch.faults import (
    numbers as numbers,
)
from retrograd.interop.torch.faults import (
    own_function as own_function,
)
from retrograd.interop.torch.faults import (
    rate as rate,
)
from retrograd.interop.torch.faults import (
    signal as signal,
)
from retrograd.interop.torch.faults import (
    symptoms as symptoms,
)
from retrograd.interop.torch.faults import (
    updates as updates,
)

__all__ = ["faults"]
