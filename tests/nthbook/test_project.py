"""The files around the code say the same thing."""

import re
import subprocess
import tomllib
from itertools import chain
from pathlib import Path

import yaml
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[2]
SETTINGS = tomllib.loads((ROOT / "pyproject.toml").read_text())
PROJECT = SETTINGS["project"]


def _locked() -> dict[str, list[Requirement]]:
    """The lock file by package name; a package may stand there twice, with two markers."""
    lines = (ROOT / "requirements.lock").read_text().splitlines()
    locked: dict[str, list[Requirement]] = {}
    for line in lines:
        if line and not line.startswith((" ", "#")):
            requirement = Requirement(line)
            locked.setdefault(_normal(requirement.name), []).append(requirement)
    return locked


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def test_lock_file_satisfies_every_requirement_of_the_project():
    locked = _locked()
    wanted = [*PROJECT["dependencies"], *chain(*PROJECT["optional-dependencies"].values())]
    for text in wanted:
        requirement = Requirement(text)
        assert _normal(requirement.name) in locked, f"{text} is not locked: run `make lock`"
        for entry in locked[_normal(requirement.name)]:
            (pin,) = entry.specifier
            assert pin.operator == "=="
            assert requirement.specifier.contains(pin.version), f"{entry} breaks {text}"


def test_the_newest_releases_are_tested_with_packages_of_the_lock_and_no_bounds():
    locked = _locked()
    for text in SETTINGS["dependency-groups"]["library-tests"]:
        requirement = Requirement(text)
        assert _normal(requirement.name) in locked, text
        assert not requirement.specifier, text


def test_conda_users_get_the_locked_set():
    environment = yaml.safe_load((ROOT / "environment.yml").read_text())
    pip = next(entry["pip"] for entry in environment["dependencies"] if isinstance(entry, dict))
    assert pip == ["-r requirements.lock", "--editable ."]
    python = next(
        entry for entry in environment["dependencies"] if str(entry).startswith("python=")
    )
    assert Requirement(f"python{PROJECT['requires-python']}").specifier.contains(
        python.split("=")[1] + ".0"
    )


def test_one_version_everywhere():
    import nthlib

    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    newest = re.search(r"^## (\d\S*)", (ROOT / "CHANGELOG.md").read_text(), re.M)
    assert newest is not None
    assert PROJECT["version"] == nthlib.__version__ == citation["version"] == newest[1]


def test_no_file_names_a_package_registry_or_a_machine_path():
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=False, text=True
    )
    assert listed.returncode == 0, listed.stderr
    registries = ("python" + "hosted.org", "py" + "pi.org", "registry." + "npmjs")
    for name in filter(None, listed.stdout.split("\0")):
        path = ROOT / name
        if path.suffix in {".png", ".ico"} or not path.is_file():
            continue
        text = path.read_text(encoding="utf-8")
        assert not [host for host in registries if host in text], name
        assert "/root/" not in text or path == Path(__file__), name
