"""The workflows run with few rights, on actions that cannot change under them."""

import re
from pathlib import Path

import pytest
import yaml

FOLDER = Path(__file__).parents[1] / ".github" / "workflows"
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
