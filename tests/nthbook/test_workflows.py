"""The workflows: few rights, actions that cannot change under them, and which Pythons they test."""

import os
import re
import subprocess
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / ".github" / "workflows"
WORKFLOWS = {
    path.stem: yaml.safe_load(path.read_text(encoding="utf-8"))
    for path in sorted(FOLDER.glob("*.yml"))
}
# What a job may do beyond reading, and which one needs it.
MORE = {
    ("publish", "deploy"): {"pages": "write", "id-token": "write"},
    ("publish", "notebooks"): {"contents": "write"},  # a branch for Colab and Binder
}


@pytest.mark.parametrize("name", WORKFLOWS)
def test_actions_are_pinned_and_permissions_minimal(name):
    workflow = WORKFLOWS[name]
    assert workflow["permissions"] == {"contents": "read"}
    for job, settings in workflow["jobs"].items():
        assert settings.get("permissions") == MORE.get((name, job))
        for step in settings["steps"]:
            action = step.get("uses")
            assert action is None or re.fullmatch(r"[\w-]+/[\w-]+@[0-9a-f]{40}", action)
            if action and action.startswith("actions/checkout@"):
                assert step["with"]["persist-credentials"] is False


def test_the_lock_file_is_audited_every_week():
    workflow = WORKFLOWS["test"]
    # YAML 1.1 reads the key `on` as true.
    assert workflow[True]["schedule"] == [{"cron": "17 4 * * 1"}]
    commands = [step["run"] for step in workflow["jobs"]["audit"]["steps"] if "run" in step]
    install, audit = commands
    assert re.search(r" pip-audit==[\d.]+$", install)
    assert audit.startswith("pip-audit --strict ")
    assert audit.endswith(" --requirement requirements.lock")


def _newest_python(folder, **environment):
    """What `.ci/newest-python` finds in ``folder`` and among the system's own."""
    search = {"HOME": str(folder), "PATH": f"{folder}:{os.defpath}", **environment}
    return subprocess.run(
        [ROOT / ".ci" / "newest-python"], env=search, capture_output=True, text=True, check=False
    )


def _python(path, answer):
    """A program that stands for a Python: it prints what the probe would, or refuses to start."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{answer}\n", encoding="utf-8")
    path.chmod(0o755)


def test_the_newest_python_is_one_that_starts(tmp_path):
    _python(tmp_path / "python3.99", "echo 'not installed' >&2; exit 127")  # a shim of pyenv
    _python(tmp_path / "python3.97", "echo 3.97.10 /at/path")
    _python(tmp_path / ".pyenv" / "versions" / "3.97.9" / "bin" / "python3", "echo 3.97.9 /pyenv")
    assert _newest_python(tmp_path).stdout == "/at/path\n"
    _python(tmp_path / "root" / "versions" / "3.98.0" / "bin" / "python3", "echo 3.98.0 /a b")
    assert _newest_python(tmp_path, PYENV_ROOT=str(tmp_path / "root")).stdout == "/a b\n"


def test_without_a_new_python_one_line_says_so(tmp_path):
    for name in ("bash", "grep", "sort", "tail", "cut", "env"):
        (tmp_path / name).symlink_to(
            next(filter(os.path.exists, (f"/bin/{name}", f"/usr/bin/{name}")))
        )
    _python(tmp_path / "python3.12", "exit 127")
    found = _newest_python(tmp_path, PATH=str(tmp_path))
    assert (found.returncode, found.stdout) == (1, "")
    assert re.fullmatch(r"no Python 3\.12 or newer starts .* not tested\n", found.stderr)


def test_the_first_job_has_a_second_python_for_the_newest_releases():
    steps = WORKFLOWS["test"]["jobs"]["test"]["steps"]
    (pythons,) = (step["with"]["python-version"] for step in steps if "setup-python" in str(step))
    newer, default = pythons.split()  # the last is `python3`, which `make test` takes
    assert default == "3.11"
    assert tuple(map(int, newer.split("."))) >= (3, 12)
