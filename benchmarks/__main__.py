"""Run with ``make bench`` or ``python -m benchmarks``: print the ratios and keep them as JSON."""

from typing import Any

import jax

from benchmarks import kernels
from benchmarks.timing import save


def main() -> None:
    jax.config.update("jax_enable_x64", True)
    rows = kernels.run()
    print(" r    n     m  H   library   over products       memory   rivals, as multiples")
    for row in rows:
        print(_line(row))
    print(f"written to {save('kernels', rows)}")


def _line(row: dict[str, Any]) -> str:
    over = f"{row['over_products']:.2f}" if "over_products" in row else "-"
    memory = f"{(row['bytes']['library'] or 0) / 2**20:.0f} MiB"
    rivals = ", ".join(f"{name} {ratio:.0f}×" for name, ratio in row["speedup"].items())
    return (
        f"{row['order']:2d} {row['n']:4d} {row['m']:5d} {row['H']:2d} "
        f"{row['seconds']['library']:8.4f}s {over:>15} {memory:>12}   {rivals}"
    )


if __name__ == "__main__":
    main()
