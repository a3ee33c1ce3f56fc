"""The address of the repository, and the buttons that lead there."""

from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml

from nthbook.book import UsageError
from nthbook.cli.main import main
from nthbook.share.repository import (
    NOTEBOOKS_BRANCH,
    Repository,
    launch_settings,
    parse_repository,
)
from nthbook.site.extension import add_buttons

ROOT = Path(__file__).parents[3]
REPOSITORY = Repository("owner", "the.book")


@pytest.mark.parametrize("end", ["", "/", ".git"])
def test_an_address_is_read(end):
    assert parse_repository(f"https://github.com/owner/the.book{end}") == REPOSITORY


@pytest.mark.bad_input
@pytest.mark.parametrize(
    "text",
    [
        "owner/book",
        "http://github.com/owner/book",
        "git@github.com:owner/book",
        "https://user:word@github.com/owner/book",
        "https://github.com/owner/book?x=1",
        "https://github.com/owner/book#x",
        "https://github.com/owner",
        "https://github.com/owner/book/tree/main",
        "https://github.com/owner/..",
        "https://elsewhere.org/owner/book",
        "https://github.com/owner/bo ok",
    ],
)
def test_any_other_address_is_refused(text):
    with pytest.raises(UsageError, match=r"--repository .* takes https://github\.com/OWNER/NAME"):
        parse_repository(text)


@pytest.mark.bad_input
@pytest.mark.parametrize("command", [["build"], ["book"], ["export", "folder"]])
def test_a_wrong_address_is_misuse_on_the_command_line_or_not(book, monkeypatch, capsys, command):
    assert main([*command, "--repository", "owner/book"]) == 2
    assert "nth: --repository" in capsys.readouterr().err
    monkeypatch.setenv("NTH_REPOSITORY", "owner/book")
    assert main(command) == 2
    err = capsys.readouterr().err
    assert "NTH_REPOSITORY" in err
    assert err.count("\n") == 1
    assert not book.build.exists()


def test_buttons_lead_to_the_branch_with_the_notebooks():
    assert REPOSITORY.launch_links("depth") == {
        "Colab": "https://colab.research.google.com/github/owner/the.book/blob/notebooks/depth.ipynb",
        "Binder": "https://mybinder.org/v2/gh/owner/the.book/notebooks?urlpath=lab/tree/depth.ipynb",
    }
    assert REPOSITORY.raw("a.whl") == "https://github.com/owner/the.book/raw/notebooks/a.whl"


def test_the_settings_get_the_address_and_keep_the_rest():
    settings = yaml.safe_load(
        launch_settings("title: τ\nrepository: {url: ''}", REPOSITORY, {"a": "b/a"})
    )
    config = settings["sphinx"]["config"]
    assert settings["title"] == "τ"
    assert settings["repository"]["url"] == REPOSITORY.address
    assert config["html_theme_options"]["use_repository_button"] is True
    assert config["nth_launch"] == {"b/a": REPOSITORY.launch_links("a")}


def buttons_of(page, suffix=".ipynb", launch=None):
    group = {"label": "download-buttons", "buttons": [{"text": ".ipynb"}, {"text": ".pdf"}]}
    context = {
        "page_source_suffix": suffix,
        "header_buttons": [group],
        "pathto": lambda path, _resource: f"../{path}",
    }
    app = SimpleNamespace(config=SimpleNamespace(nth_launch=launch or {}))
    add_buttons(app, page, "page.html", context, None)
    return context["header_buttons"]


def test_a_notebook_can_be_had_as_text():
    (group,) = buttons_of("b/a")
    assert [button["text"] for button in group["buttons"]] == [".ipynb", ".md", ".pdf"]
    assert group["buttons"][1]["url"] == "../_sources/b/a.md"


def test_a_page_of_prose_and_a_book_without_repository_get_no_launch_button():
    launch = {"b/a": REPOSITORY.launch_links("a")}
    assert len(buttons_of("b/a", suffix=".md", launch=launch)) == 1
    assert len(buttons_of("b/other", launch=launch)) == 1
    group, _ = buttons_of("b/a", launch=launch)
    assert [button["text"] for button in group["buttons"]] == ["Colab", "Binder"]


def test_the_workflow_puts_the_notebooks_where_the_buttons_lead_before_the_site():
    workflow = yaml.safe_load((ROOT / ".github" / "workflows" / "publish.yml").read_text())
    jobs = workflow["jobs"]
    commands = {name: [step.get("run", "") for step in job["steps"]] for name, job in jobs.items()}
    push = next(line for line in commands["notebooks"][-1].splitlines() if "git push" in line)
    assert push.split()[-1] == NOTEBOOKS_BRANCH
    assert "notebooks" in jobs["deploy"]["needs"]
    writers = [name for name, job in jobs.items() if "contents" in job.get("permissions", {})]
    assert writers == ["notebooks"]
    assert workflow["permissions"] == {"contents": "read"}
    (exported,) = (line.split()[-1] for line in commands["build"] if "nth export" in line)
    assert exported in [step.get("with", {}).get("path") for step in jobs["build"]["steps"]]
