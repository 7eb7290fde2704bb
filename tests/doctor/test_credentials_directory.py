"""`doctor` checks the files of `$CREDENTIALS_DIRECTORY`, as the signer reads them."""

from __future__ import annotations

from pathlib import Path

from tests.doctor.reports import doctor

CONFIG = """\
version: 1
server: {listen: "127.0.0.1:0", admin: "127.0.0.1:0"}
credentials: {r: {type: static, access_key_id: x, access_key_secret: "${file:$CREDENTIALS_DIRECTORY/ak-secret}"}}
apps: {a: {key_prefix: a/, bucket: photos, region: ap-southeast-1, credentials: r}}
"""


async def test_a_secret_of_systemd_is_found(tmp_path: Path) -> None:
    (config := tmp_path / "signer.yaml").write_text(CONFIG, encoding="utf-8")
    (secret := tmp_path / "ak-secret").write_text("a-secret", encoding="ascii")
    secret.chmod(0o400)
    arguments = ("--config", config, "--json", "--oss-endpoint", "http://127.0.0.1:1")
    report = await doctor(*arguments, environ={"CREDENTIALS_DIRECTORY": str(tmp_path)})
    [found] = report.of("files")
    assert (found["verdict"], found["subject"]) == ("ok", "$CREDENTIALS_DIRECTORY/ak-secret"), found
    secret.unlink()
    report = await doctor(*arguments, environ={"CREDENTIALS_DIRECTORY": str(tmp_path)})
    assert "No such file" in report.out
