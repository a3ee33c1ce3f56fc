"""The commands that hand the book on: a server for this machine, notebooks in a folder."""

from pathlib import Path

import click

from nthlib.pipeline.book import Book


@click.command()
@click.option("--port", type=click.IntRange(0, 65535), default=8000, show_default=True)
def serve(port: int) -> None:
    """Show build/html to browsers on this machine, and to no other."""
    from nthlib.pipeline.sharing import site_server

    with site_server(Book.find(), port) as server:
        host, chosen = server.server_address[:2]
        click.echo(f"http://{host!s}:{chosen}/ (Ctrl-C ends it)")
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            click.echo()


@click.command()
@click.argument("folder", type=click.Path(path_type=Path), metavar="DIR")
@click.option("--force", is_flag=True, help="Overwrite notebooks that stand in DIR.")
def export(folder: Path, force: bool) -> None:
    """Copy the chapters to DIR as notebooks, executed where they have run."""
    from nthlib.pipeline.sharing import export_notebooks

    for line in export_notebooks(Book.find(), folder, force=force):
        click.echo(line)


# In the order in which `nth --help` lists them.
SHARING: tuple[click.Command, ...] = (serve, export)
