"""The manifests of deploy/kubernetes: valid, consistent, and run as in a pod.

Instead of a cluster, the signer runs on a directory that has the layout of a mounted ConfigMap, with the variables of
RRSA, and gets the probes of the manifests.
"""

from __future__ import annotations

import json
import re
import shlex
import sys
from pathlib import Path
from typing import Any

import aiohttp
import kubernetes_validate
import pytest
import yaml
from aiohttp import test_utils, web

from signer.cli import main
from tests.e2e.layouts import config_map
from tests.harness.local_cloud import Cloud
from tests.harness.oss_upload import post_object
from tests.harness.ports import reserve_port
from tests.harness.processes import ROOT, run
from tests.harness.signer import entries, signer
from tests.localcloud.sdk import PROVIDER, ROLE
from tests.localcloud.test_oidc import token

pytestmark = pytest.mark.slow

HERE = ROOT / "deploy/kubernetes"
KUSTOMIZATION = HERE / "kustomization.yaml"
SECRETS = {"admin-token": "the-token-of-the-operators", "redis-url": "redis://redis:6379/0"}
NAME = {"app.kubernetes.io/name": "oss-signer"}
ADMIN = {"Authorization": f"Bearer {SECRETS['admin-token']}"}


def manifests() -> dict[str, dict[str, Any]]:
    """Return the manifests by file name."""
    files = sorted(path for path in HERE.rglob("*.yaml") if path.name != KUSTOMIZATION.name)
    found = {str(file.relative_to(HERE)): list(yaml.safe_load_all(file.read_text(encoding="utf-8"))) for file in files}
    assert all(len(documents) == 1 for documents in found.values())
    return {name: documents[0] for name, documents in found.items()}


def kind(name: str) -> dict[str, Any]:
    [found] = [each for each in manifests().values() if each["kind"] == name]
    return found


def pod() -> dict[str, Any]:
    spec: dict[str, Any] = kind("Deployment")["spec"]["template"]["spec"]
    return spec


def container() -> dict[str, Any]:
    [found] = pod()["containers"]
    assert isinstance(found, dict)
    return found


@pytest.mark.parametrize("version", ["1.28", "1.32", kubernetes_validate.latest_version()])
def test_each_manifest_is_valid_by_the_published_schemas(version: str) -> None:
    found = manifests()
    assert len(found) >= 9
    for name, manifest in found.items():
        try:
            kubernetes_validate.validate(manifest, version, strict=True)
        except kubernetes_validate.ValidationError as error:
            pytest.fail(f"{name}: {error}")


def test_the_schemas_reject_a_misspelt_key() -> None:
    deployment = kind("Deployment")
    deployment["spec"]["template"]["spec"]["containers"][0]["readynessProbe"] = {}
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(deployment, "1.32", strict=True)


def test_the_base_of_kustomize_has_each_manifest_that_is_not_optional() -> None:
    """See: https://kubectl.docs.kubernetes.io/references/kustomize/kustomization/resource/"""
    base = yaml.safe_load(KUSTOMIZATION.read_text(encoding="utf-8"))
    assert (base["kind"], base["apiVersion"]) == ("Kustomization", "kustomize.config.k8s.io/v1beta1")
    assert set(base) == {"kind", "apiVersion", "resources"}
    assert sorted(base["resources"]) == sorted(name for name in manifests() if "/" not in name)


def test_manifests_refer_to_each_other_correctly() -> None:
    found = manifests()
    names = {each["metadata"]["name"] for each in found.values()}
    spaces = {each["metadata"].get("namespace", "oss-signer") for each in found.values()}
    assert (names, spaces) == ({"oss-signer"}, {"oss-signer"})
    deployment = kind("Deployment")["spec"]
    assert deployment["selector"]["matchLabels"] == deployment["template"]["metadata"]["labels"] == NAME
    assert kind("Service")["spec"]["selector"] == NAME
    assert kind("PodDisruptionBudget")["spec"]["selector"]["matchLabels"] == NAME
    assert kind("NetworkPolicy")["spec"]["podSelector"]["matchLabels"] == NAME
    assert all(each["labelSelector"]["matchLabels"] == NAME for each in pod()["topologySpreadConstraints"])
    ports = {port["name"]: port["containerPort"] for port in container()["ports"]}
    [service] = kind("Service")["spec"]["ports"]
    assert service["targetPort"] == "http"
    main_yaml = kind("ConfigMap")["data"]["main.yaml"]
    for port, key in ((ports["http"], "listen"), (ports["admin"], "admin"), (ports["health"], "health")):
        assert f"{key}: 0.0.0.0:{port}" in main_yaml
    mounts = {mount["name"]: mount["mountPath"] for mount in container()["volumeMounts"]}
    volumes = {volume["name"]: volume for volume in pod()["volumes"]}
    assert mounts.keys() == volumes.keys()
    assert container()["args"] == ["serve", "--config", mounts["definitions"]]
    assert set(re.findall(r"\$\{file:([^}]+)\}", main_yaml)) == {f"{mounts['secrets']}/{name}" for name in SECRETS}
    [rules] = [rule["http"]["paths"] for rule in kind("Ingress")["spec"]["rules"]]
    assert {rule["path"] for rule in rules} == {"/v1/", "/generate_signature"}


def test_a_pod_meets_the_restricted_standard_and_has_time_to_drain() -> None:
    """See: https://kubernetes.io/docs/concepts/security/pod-security-standards/#restricted"""
    assert kind("Namespace")["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"
    security, inner = pod()["securityContext"], container()["securityContext"]
    assert security["runAsNonRoot"] and security["runAsUser"] > 0
    assert security["seccompProfile"] == {"type": "RuntimeDefault"}
    assert inner["capabilities"] == {"drop": ["ALL"]} and inner["readOnlyRootFilesystem"]
    assert inner["allowPrivilegeEscalation"] is False
    drain_seconds = float(container()["env"][0]["value"])
    stop_seconds = float(container()["lifecycle"]["preStop"]["exec"]["command"][1])
    assert pod()["terminationGracePeriodSeconds"] >= stop_seconds + drain_seconds + 5


def test_no_secret_is_included_and_the_documents_show_how_to_create_it() -> None:
    assert "Secret" not in {each["kind"] for each in manifests().values()}
    text = (ROOT / "docs/scaling.md").read_text(encoding="utf-8")
    assert all(f"--from-literal={name}=" in text for name in SECRETS)


def test_the_image_copies_only_existing_files() -> None:
    lines = (HERE / "Dockerfile").read_text(encoding="utf-8").splitlines()
    copied = [
        word for line in lines if line.startswith("COPY ") and "--from" not in line for word in line.split()[1:-1]
    ]
    assert copied and all((ROOT / name).exists() for name in copied)
    kept = (HERE / "Dockerfile.dockerignore").read_text(encoding="utf-8").split()
    assert {line[1:] for line in kept if line.startswith("!")} == set(copied)
    user = next(shlex.split(line)[1] for line in lines if line.startswith("USER"))
    assert user == f"{pod()['securityContext']['runAsUser']}:{pod()['securityContext']['runAsGroup']}"


async def test_the_dockerfile_is_clean_and_its_health_check_shows_whether_a_signer_runs() -> None:
    dockerfile = HERE / "Dockerfile"
    linted = await run(Path(sys.executable).with_name("hadolint"), dockerfile)
    assert (linted.status, linted.out) == (0, "")
    [check] = re.findall(r"HEALTHCHECK .*?CMD (\[.*?\])$", dockerfile.read_text("utf-8"), re.MULTILINE | re.DOTALL)
    [_, option, script] = json.loads(check)
    assert (await run(sys.executable, option, script.replace("9180", str(reserve_port())))).status != 0

    async def healthz(request: web.Request) -> web.Response:
        return web.Response(text=request.path)

    application = web.Application()
    application.router.add_get("/healthz", healthz)
    async with test_utils.TestServer(application) as server:
        assert (await run(sys.executable, option, script.replace("9180", str(server.port)))).status == 0


def definitions(secrets: Path, **replaced: str) -> dict[str, str]:
    """Return the files of the ConfigMap, which refer to the test's files instead of the Secret's."""
    secrets.mkdir(exist_ok=True)
    for name, value in SECRETS.items():
        (secrets / name).write_text(value, encoding="ascii")
    files: dict[str, str] = dict(kind("ConfigMap")["data"])
    for written, real in {"/run/secrets/oss-signer": str(secrets), **replaced}.items():
        assert any(written in text for text in files.values()), written
        files = {name: text.replace(written, real) for name, text in files.items()}
    return files


def rrsa(token_file: Path) -> dict[str, str]:
    """Return the variables that ack-pod-identity-webhook sets."""
    return {
        "ALIBABA_CLOUD_ROLE_ARN": ROLE,
        "ALIBABA_CLOUD_OIDC_PROVIDER_ARN": PROVIDER,
        "ALIBABA_CLOUD_OIDC_TOKEN_FILE": str(token_file),
    }


def test_check_accepts_the_definitions(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in rrsa(tmp_path / "token").items():
        monkeypatch.setenv(name, value)
    (mounted := tmp_path / "mounted").mkdir()
    config_map(mounted, lambda _: definitions(tmp_path / "secrets"))(1)
    assert main(["check", "--config", str(mounted)]) == 0
    output = capsys.readouterr()
    assert output.err.count("warning: ") == output.err.count("warning: apps.wx1234567890abcdef: clients of /gen") == 1
    assert output.out.endswith("1 warning\n"), output


async def test_a_signer_runs_on_the_config_map_and_responds_to_the_probes(
    cloud: Cloud, session: aiohttp.ClientSession, tmp_path: Path
) -> None:
    url = await cloud.create_bucket("photos-prod")
    (token_file := tmp_path / "token").write_text(token(), encoding="ascii")
    (mounted := tmp_path / "mounted").mkdir()

    def files(number: int) -> dict[str, str]:
        return definitions(
            tmp_path / "secrets",
            **{
                "0.0.0.0:5000": "127.0.0.1:0",
                "0.0.0.0:9180": "127.0.0.1:0",
                "0.0.0.0:5001": "127.0.0.1:0",
                "https://sts-vpc.cn-hangzhou.aliyuncs.com": cloud.sts,
                "https://upload.example.com": url,
                "max_size: 10MiB": f"max_size: {number}MiB",
                f"limits: ${{file:{tmp_path}/secrets/redis-url}}": "",
                f"callback_queue: ${{file:{tmp_path}/secrets/redis-url}}": "",
            },
        )

    edit = config_map(mounted, files)
    edit(1)
    async with signer(session, mounted, environ=rrsa(token_file)) as running:
        [listening] = [entry for entry in entries(running.output) if entry["message"] == "listening"]
        for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
            wanted = container()[probe]["httpGet"]
            async with session.get(f"{listening[wanted['port']]}{wanted['path']}") as response:
                assert response.status == 200, probe
        async with session.get(f"{running.admin}/metrics") as response:
            assert response.status == 401
        async with session.get(f"{running.admin}/metrics", headers=ADMIN) as response:
            assert response.status == 200
        app_id = "wx1234567890abcdef"
        upload_request = {"filename": "a.jpg", "content_type": "image/jpeg"}
        form = await running.upload_form(app_id, upload_request)
        assert form["max_size"] == 2**20
        assert (await post_object(session, url, form["fields"], b"x"))[0] == 200
        edit(2)
        await running.wait_for_log("definitions reloaded")
        assert (await running.upload_form(app_id, upload_request))["max_size"] == 2 * 2**20
        assert not any(secret in "".join(running.output) for secret in (SECRETS["admin-token"], token_file.read_text()))
