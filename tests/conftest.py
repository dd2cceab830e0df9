"""Settings of the whole suite, made before JAX is loaded.

Most of its time is compilation of small programs, which the flags make a third to a half faster; they change how XLA
generates code, and what it computes in the last bits only.
"""

import os

COMPILE_QUICKLY = (
    "--xla_backend_optimization_level=0",
    "--xla_llvm_disable_expensive_passes=true",
    "--xla_cpu_parallel_codegen_split_count=1",
)

os.environ.setdefault("JAX_PLATFORMS", "cpu")
os.environ["XLA_FLAGS"] = " ".join([os.environ.get("XLA_FLAGS", ""), *COMPILE_QUICKLY]).strip()
