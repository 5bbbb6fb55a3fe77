"""`python -m infra.deploy`: the same as `exchange deploy`."""

import typer

from infra.deploy.command import deploy

if __name__ == "__main__":
    typer.run(deploy)
