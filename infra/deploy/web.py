"""The screen: built, uploaded under /app, and the old one forgotten by CloudFront."""

import mimetypes
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from infra.deploy.commands import ROOT, Commands, DeployError

WEB = ROOT / "web"
# Built files have their content's hash in their name; the page that names them must always be asked for.
FOREVER, NEVER = "public, max-age=31536000, immutable", "no-cache"


def build(commands: Commands) -> Path | None:
    """The screen's folder: built where it has to be built, as it is where not; None where there is no screen."""
    if not (WEB / "package.json").is_file():
        return WEB if (WEB / "index.html").is_file() else None
    if not commands.exists("npm"):
        raise DeployError(
            "npm is missing, and the web pages are built with it: install Node 20 or newer from nodejs.org."
        )
    commands.show(["npm", "ci", "--prefix", str(WEB)])
    commands.show(["npm", "run", "build", "--prefix", str(WEB)])
    return WEB / "dist"


def upload(folder: Path, outputs: Mapping[str, str], clients: Callable[[str], Any]) -> int:
    """Upload a built screen, what it names before the page that names it. Returns the number of files."""
    files = sorted((path for path in folder.rglob("*") if path.is_file()), key=lambda path: path.suffix == ".html")
    for path in files:
        kind = mimetypes.guess_type(path.name)[0] or "application/octet-stream"
        clients("s3").put_object(
            Bucket=outputs["WebBucket"],
            Key=f"app/{path.relative_to(folder).as_posix()}",
            Body=path.read_bytes(),
            ContentType=kind,
            CacheControl=FOREVER if "assets" in path.parts else NEVER,
        )
    if "DistributionId" in outputs:
        clients("cloudfront").create_invalidation(
            DistributionId=outputs["DistributionId"],
            InvalidationBatch={"Paths": {"Quantity": 1, "Items": ["/app*"]}, "CallerReference": str(time.time_ns())},
        )
    return len(files)
