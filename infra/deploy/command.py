"""`exchange deploy`: the steps, one after the other, each told as it is done."""

import os
from functools import cache
from pathlib import Path
from typing import Annotated, Any

import boto3
import typer
from botocore.exceptions import BotoCoreError, ClientError
from rich.console import Console

from infra.deploy import foundation, image, listing, operators, preflight, smoke, stack, web
from infra.deploy.commands import ROOT, Commands, DeployError, Shell
from infra.deploy.stages import Stage, read_settings, read_stage

console = Console(highlight=False)

StageOption = Annotated[str, typer.Option("--stage", envvar="STAGE", help="dev, staging or prod, of samconfig.toml")]
OperatorOption = Annotated[str, typer.Option("--operator", envvar="OPERATOR", help="mail of the first operator")]
ImageOption = Annotated[str, typer.Option("--image", help="an image by digest that was built elsewhere")]
SetOption = Annotated[list[str] | None, typer.Option("--set", help="Parameter=value, this once")]
ProductsOption = Annotated[Path, typer.Option("--products", help="what a new exchange lists")]
ExportOption = Annotated[bool, typer.Option("--export", help="only write the layer's requirements from the lock")]


def deploy(
    stage: StageOption = "dev",
    operator: OperatorOption = "",
    image_uri: ImageOption = "",
    settings: SetOption = None,
    products: ProductsOption = ROOT / "infra/deploy/products.toml",
    *,
    export: ExportOption = False,
) -> None:
    """Deploy to AWS: the first time and every time after it."""
    commands = Shell()
    try:
        if export:
            stack.export(commands)
            return
        target = read_stage(stage).told(read_settings(settings or []))
        os.environ["AWS_DEFAULT_REGION"] = os.environ["AWS_REGION"] = target.region
        _deploy(target, commands, operator=operator, image_uri=image_uri, products=products)
    except DeployError as error:
        console.print(str(error), style="red", markup=False, soft_wrap=True)
        raise typer.Exit(1) from error
    except (ClientError, BotoCoreError) as error:
        console.print(f"AWS said no: {error}. Mend it and deploy again.", style="red", markup=False, soft_wrap=True)
        raise typer.Exit(1) from error


def _deploy(stage: Stage, commands: Commands, *, operator: str, image_uri: str, products: Path) -> None:
    _check(stage, commands, build_image=not image_uri)
    laid = foundation.lay(stage, clients)
    _done("registry and artefact bucket are there")
    if not image_uri:
        image_uri = image.push(stage, image.revision(commands), laid, clients, commands)
    stage = stage.told({"MatcherImage": image_uri})
    _done(f"matcher image {image_uri.rpartition('@')[2][:19]}")
    stack.build(stage, commands)
    stack.deploy(stage, laid, commands)
    outputs = foundation.stack_outputs(clients("cloudformation"), stage.stack_name) or {}
    _done(f"stack {stage.stack_name}")
    listed = listing.list_missing(products, outputs)
    _done(f"listed {', '.join(listed)}" if listed else "everything was listed already")
    if operator and operators.invite_first(operator, outputs, clients):
        _done(f"{operator} is invited as the first operator")
    folder = web.build(commands)
    if folder is not None:
        _done(f"{web.upload(folder, outputs, clients)} files of the web pages")
    url = outputs.get("WebUrl") or outputs["RestUrl"]
    for step in smoke.walk(smoke.Door(url), outputs, clients, sandbox=_has_sandbox(stage)):
        _done(step)
    console.print(f"[bold]{stage.stack_name} is up:[/bold] {url}")


def _check(stage: Stage, commands: Commands, *, build_image: bool) -> None:
    found = list(preflight.findings(stage, clients, commands, build_image=build_image))
    for finding in found:
        console.print(finding.sentence, style="red" if finding.is_problem else "yellow", markup=False)
    if any(finding.is_problem for finding in found):
        raise DeployError("Nothing was deployed. Mend what is red and deploy again.")
    _done("preflight")


def _has_sandbox(stage: Stage) -> bool:
    return stage.parameters.get("BankProvider", "sandbox") == "sandbox"


def _done(text: str) -> None:
    console.print(f"[green]✓[/green] {text}")


@cache
def clients(name: str) -> Any:
    """A client by its service's name; `service-us-east-1` for what lives only there."""
    service, separator, _ = name.partition("-us-east-1")
    return boto3.client(service, region_name="us-east-1") if separator else boto3.client(service)
