"""Run with ``make bench`` or ``python -m benchmarks``: print the ratios and keep them as JSON."""

from typing import Any

import jax

from benchmarks import checks, ensembles, expansion, first, kernels, reach, room, truncation
from benchmarks.timing import save


def main() -> None:
    jax.config.update("jax_enable_x64", True)
    print(" r    n     m  H   library   over products       memory   rivals, as multiples")
    for name, run, line in SUITES:
        rows = run()
        for row in rows:
            print(line(row))
        print(f"written to {save(name, rows)}")


def _truncation_line(row: dict[str, Any]) -> str:
    size = f"n={row['n']} m={row['m']} H={row['H']}"
    if row["kind"] == "rhs":
        ratios = ", ".join(f"{name} {ratio:.1f}" for name, ratio in row["over_K2"].items())
        return f"{size}: one right-hand side over one K^(2): {ratios}"
    others = f"{row['closer_on_test']:.1f}× on others" if "closer_on_test" in row else "no others"
    return (
        f"{size} p={row['order']} to t={row['t']:g}: {row['seconds']:.1f} s, "
        f"{row['peak_bytes'] / 2**20:.0f} MiB, {row['steps']} steps, "
        f"closer than p={row['order'] - 2} {row['closer_on_train']:.1f}× on the training digits, "
        f"{others}"
    )


def _line(row: dict[str, Any]) -> str:
    over = f"{row['over_products']:.2f}" if "over_products" in row else "-"
    memory = f"{(row['bytes']['library'] or 0) / 2**20:.0f} MiB"
    rivals = ", ".join(f"{name} {ratio:.0f}×" for name, ratio in row["speedup"].items())
    return (
        f"{row['order']:2d} {row['n']:4d} {row['m']:5d} {row['H']:2d} "
        f"{row['seconds']['library']:8.4f}s {over:>15} {memory:>12}   {rivals}"
    )


SUITES = (
    ("kernels", kernels.run, _line),
    ("checks", checks.run, checks.line),
    ("first", first.run, first.line),
    ("truncation", truncation.run, _truncation_line),
    ("room", room.run, room.line),
    ("ensembles", ensembles.run, ensembles.line),
    ("expansion", expansion.run, expansion.line),
    ("reach", reach.run, reach.line),
)


if __name__ == "__main__":
    main()
