"""What the allocator is told."""

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
