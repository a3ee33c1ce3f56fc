"""How long the library takes to install without the pipeline, and to load beside JAX.

``python -m benchmarks.loading``; the packages come from where pip finds them.
"""

import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.timing import save
from nthbook.share.wheel import build_wheel

# Public names are loaded on first use, so that a fair measurement touches all of them.
_LOAD = """
import json, time
stamps = [time.perf_counter()]
cpu = [time.process_time()]
def stamp():
    stamps.append(time.perf_counter())
    cpu.append(time.process_time())
import jax, jax.numpy
stamp()
import nthlib
for name in nthlib.__all__:
    getattr(nthlib, name)
stamp()
import nthbook.plots
stamp()
print(json.dumps({"seconds": stamps, "cpu": cpu}))
"""
_PARTS = ("jax", "nthlib", "plots")


def run(repeats: int = 5) -> list[dict[str, Any]]:
    """Install the wheel into an empty environment; load JAX and the library there in turn."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        python, install = _install(folder / "environment", build_wheel(folder))
        loads = [json.loads(_call(python, "-c", _LOAD)) for _ in range(repeats + 1)][1:]
    row: dict[str, Any] = {"install": install}
    for kind in ("seconds", "cpu"):
        parts = {
            part: statistics.median(load[kind][i + 1] - load[kind][i] for load in loads)
            for i, part in enumerate(_PARTS)
        }
        row[kind] = {**parts, "beyond_jax": parts["nthlib"] + parts["plots"]}
    return [row]


def _install(environment: Path, wheel: Path) -> tuple[Path, float]:
    uv = Path(sys.executable).parent / "uv"
    _call(uv, "venv", "--quiet", "--python", sys.executable, str(environment))
    python = environment / "bin" / "python"
    start = time.perf_counter()
    quiet = ("--quiet", "--compile-bytecode")  # as pip does
    _call(uv, "pip", "install", *quiet, "--python", str(python), str(wheel))
    return python, time.perf_counter() - start


def _call(program: Path, *arguments: str) -> str:
    command = [str(program), *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def line(row: dict[str, Any]) -> str:
    """One row in words."""
    seconds, cpu = row["seconds"], row["cpu"]
    return (
        f"installed in {row['install']:.1f} s; JAX loads in {seconds['jax']:.2f} s, the library "
        f"in {seconds['beyond_jax']:.2f} s more ({cpu['beyond_jax']:.2f} s of one core)"
    )


if __name__ == "__main__":
    rows = run()
    print(line(rows[0]))
    print(f"written to {save('loading', rows)}")
