"""A claim, and how the tests write registries of claims."""

import json

FIELDS = {
    "id": "drift",
    "chapter": "kernel-drift",
    "kind": "theorem",
    "statement": "It drifts",
    "source": "Corollary 2.4",
    "quantity": "exponent of m",
    "predicted": -1.0,
    "margin": 0.1,
    "control": "Mean-field scaling",
    "tests": "theorem-kernel-change",
}


def registry(*entries):
    lines = []
    for entry in entries:
        lines.append("[[claim]]")
        lines += [f"{key} = {json.dumps(value)}" for key, value in entry.items()]
    return "\n".join(lines)
