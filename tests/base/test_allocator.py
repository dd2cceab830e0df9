"""Settings of the allocator."""

import platform
import subprocess
import sys

import pytest

pytestmark = pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="glibc alone has these settings")

RESERVED = """
import ctypes, re, resource, threading
from retrograd.base import allocator
if {limited}:
    resource.setrlimit(resource.RLIMIT_AS, (2**32, 2**32))
assert allocator.tune()
libc, blocks = ctypes.CDLL(None), []
ready, done = threading.Barrier(5), threading.Event()
def work():
    blocks.append(libc.malloc(1000))
    ready.wait()
    done.wait()
threads = [threading.Thread(target=work) for _ in range(4)]
for thread in threads: thread.start()
ready.wait()
spans = re.findall(r"^([0-9a-f]+)-([0-9a-f]+) ---p", open("/proc/self/maps").read(), re.M)
done.set()
print(sum(int(end, 16) - int(start, 16) > 2**25 for start, end in spans))
"""


@pytest.mark.parametrize(("limited", "arenas"), [(False, 4), (True, 0)])
def test_threads_reserve_no_address_space_of_their_own_where_it_is_limited(limited, arenas):
    command = [sys.executable, "-c", RESERVED.format(limited=limited)]
    assert int(subprocess.run(command, capture_output=True, text=True, check=True).stdout) == arenas


RETURNING = """
import numpy as np
from retrograd.base import allocator
def resident():
    return int(next(line for line in open("/proc/self/status") if line.startswith("RssAnon")).split()[1]) // 1024
def filled():
    arrays = [np.ones(2**20) for _ in range(8)]
    keeper = np.ones(2**10)  # lies after them, so that only trimming could return them
    del arrays
    return keeper
assert allocator.tune()
first, before = filled(), resident()
with allocator.returning():
    inside, second = resident(), filled()
    print(before - inside, resident() - inside)
third = filled()
print(resident() - inside)
"""


def test_freed_memory_returns_to_the_system_inside_a_block():
    done = subprocess.run([sys.executable, "-c", RETURNING], capture_output=True, text=True, check=True)
    given_back, left, kept = map(int, done.stdout.split())
    assert given_back > 50  # MiB, of 64
    assert left < 10
    assert kept > 50  # after the block as before it
