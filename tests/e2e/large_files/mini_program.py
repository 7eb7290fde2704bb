"""The sample's page with one file, in the simulator."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.e2e.large_files.site import UPLOADER_OPTIONS, Site
from tests.harness.processes import Process
from tests.miniprogram_sample.simulated import next_report, project

ENDPOINT = "http://127.0.0.1:1"
"""The signer's address in the page's settings; the simulated phone connects to another port."""


def phone_parameters(site: Site, directory: Path, name: str, app_id: str, **options: Any) -> dict[str, Any]:
    """Return the parameters of video_run.cjs.

    Args:
        directory: Contains the file `name`; gets the project and the storage of the phone.
        options: Of the uploader.
    """
    config = {"endpoint": ENDPOINT, "appId": app_id, **UPLOADER_OPTIONS, **options}
    return {
        "project": str(project(directory, config)),
        "files": str(directory),
        "endpoint": ENDPOINT,
        "signer": site.signer.public,
        "storage": str(directory / "storage.json"),
        "video": name,
    }


async def last_report(process: Process) -> dict[str, Any]:
    """Return what video_run.cjs reports at its end."""
    while (report := await next_report(process)) == "part":
        pass
    assert isinstance(report, dict)
    return report
