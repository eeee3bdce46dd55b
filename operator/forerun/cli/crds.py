"""`forerun crds`: writes crds/ from the models."""

from pathlib import Path

import click

from forerun.api.crds import crd_yaml


@click.command()
@click.option("-d", "--directory", default="crds", show_default=True, type=click.Path(file_okay=False, path_type=Path))
@click.option("--check", is_flag=True, help="Write nothing; exit 1 where a file differs.")
def crds(directory: Path, *, check: bool) -> None:
    """Write the CustomResourceDefinitions."""
    stale = []
    for name, text in crd_yaml().items():
        path = directory / name
        if path.is_file() and path.read_text(encoding="utf-8") == text:
            continue
        stale.append(name)
        if not check:
            directory.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
            click.echo(f"wrote {path}", err=True)
    if check and stale:
        click.echo(f"{directory}: {', '.join(stale)} differ from the models; run `forerun crds`", err=True)
        raise SystemExit(1)
