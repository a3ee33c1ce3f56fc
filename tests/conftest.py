import os

# The tests compare with tolerances near 1e-12 and never open a window; both before JAX loads.
os.environ.setdefault("JAX_ENABLE_X64", "1")
os.environ.setdefault("JAX_PLATFORMS", "cpu")
os.environ.setdefault("MPLBACKEND", "Agg")
# Almost all of the tests' time is compilation; the chapters run with optimisation on.
os.environ.setdefault("JAX_DISABLE_MOST_OPTIMIZATIONS", "1")
