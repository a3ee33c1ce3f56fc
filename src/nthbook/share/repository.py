"""The address of the book's repository, which a build may be told: where buttons lead."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

import yaml

from nthbook.book import UsageError

# The branch to which the workflow `publish` pushes the exported notebooks.
NOTEBOOKS_BRANCH = "notebooks"

_ADDRESS = re.compile(r"https://github\.com/([\w.-]+)/([\w.-]+?)(?:\.git)?/?")


@dataclass(frozen=True)
class Repository:
    """A repository on GitHub: Colab opens notebooks from there alone."""

    owner: str
    name: str

    @property
    def address(self) -> str:
        """Where a browser finds it."""
        return f"https://github.com/{self.owner}/{self.name}"

    def raw(self, file: str) -> str:
        """The address of a file that lies beside the exported notebooks."""
        return f"{self.address}/raw/{NOTEBOOKS_BRANCH}/{file}"

    def launch_links(self, notebook: str) -> dict[str, str]:
        """The addresses that open an exported notebook, by the service that runs it."""
        place = f"{self.owner}/{self.name}"
        file = f"{notebook}.ipynb"
        colab = f"https://colab.research.google.com/github/{place}/blob/{NOTEBOOKS_BRANCH}"
        binder = f"https://mybinder.org/v2/gh/{place}/{NOTEBOOKS_BRANCH}?urlpath=lab/tree"
        return {"Colab": f"{colab}/{file}", "Binder": f"{binder}/{file}"}


def parse_repository(text: str) -> Repository:
    """Read the address of a repository.

    Raises:
        UsageError: when it is not https://github.com/OWNER/NAME and nothing else.
    """
    match = _ADDRESS.fullmatch(text.strip())
    if match is None or {match[1], match[2]} & {".", ".."}:
        raise UsageError(
            "--repository (or NTH_REPOSITORY) takes https://github.com/OWNER/NAME,"
            " without user, password or query"
        )
    return Repository(match[1], match[2])


def launch_settings(settings: str, repository: Repository, pages: Mapping[str, str]) -> str:
    """The settings of the site with the buttons that lead to the repository.

    Args:
        settings: the text of ``_config.yml``.
        repository: where the buttons lead.
        pages: the pages whose notebooks are there, by the names of the notebooks.
    """
    changed = yaml.safe_load(settings)
    changed.setdefault("repository", {})["url"] = repository.address
    sphinx = changed.setdefault("sphinx", {}).setdefault("config", {})
    sphinx["nth_launch"] = {page: repository.launch_links(name) for name, page in pages.items()}
    theme = sphinx.setdefault("html_theme_options", {})
    theme |= {"repository_url": repository.address, "use_repository_button": True}
    return yaml.safe_dump(changed, sort_keys=False, allow_unicode=True)
