"""Tests.  Each process computes on one thread: their networks and matrices are small, and several processes share the
cores.  The libraries read this when they are loaded, so it stands before all imports."""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")
