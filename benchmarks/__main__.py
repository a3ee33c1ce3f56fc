"""Run with ``make bench`` or ``python -m benchmarks``: print the ratios and keep them as JSON."""

import jax

from benchmarks import tangent_kernel
from benchmarks.timing import save


def main() -> None:
    jax.config.update("jax_enable_x64", True)
    rows = tangent_kernel.run()
    print("    n      m   H    library   Jacobian    ratio  over products")
    for row in rows:
        seconds = row["seconds"]
        print(
            f"{row['n']:5d} {row['m']:6d} {row['H']:3d} {seconds['library']:9.4f}s "
            f"{seconds['jacobian']:9.3f}s {row['jacobian / library']:7.0f}× "
            f"{row['library / products']:13.2f}×"
        )
    print(f"written to {save('tangent_kernel', rows)}")


if __name__ == "__main__":
    main()
