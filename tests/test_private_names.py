"""Only documented exceptions use names of other packages that are not public: any release may change those."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
FOLDERS = ("signer", "localcloud", "tools", "bench", "tests")
ALLOWED = {
    "signer/http/fast.py": "the fast HTTP adapter, which lists each name",
    "signer/credentials/sdk_patches.py": "the patches of Alibaba's SDKs, which list each name",
    "bench/frozen_time.py": "timers that are held, which needs a method of asyncio's handles",
    "tests/e2e/instrumented_signer.py": "a clock in each callback, which needs a method of asyncio's handles",
}
DOCUMENTED = {"_replace", "_make", "_asdict", "_fields", "_exit"}
"""Public names of named tuples and of `os`."""
INSTALLED = {".venv", "node_modules"}
OWN_RECEIVERS = {"self", "cls"}


def is_private(name: str) -> bool:
    return name.startswith("_") and not name.startswith("__") and name != "_"


def defined_names(tree: ast.Module) -> set[str]:
    """Return the private names that a file defines itself: functions, variables, attributes and slots."""
    names = set()
    for node in ast.walk(tree):
        match node:
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
                names.add(name)
            case ast.Name(id=name, ctx=ast.Store()) | ast.arg(arg=name):
                names.add(name)
            case ast.Attribute(value=ast.Name(id="self"), attr=name, ctx=ast.Store()):
                names.add(name)
    return names


def foreign_private_names(source: str, inherited: frozenset[str] = frozenset()) -> list[str]:
    """Return the private names of other packages that a file uses, with their lines.

    A private attribute counts as foreign unless the same file defines its name; attributes of `self` may also be
    defined in another file of this project (`inherited`).
    """
    tree = ast.parse(source)
    own = defined_names(tree) | DOCUMENTED
    found = []
    for node in ast.walk(tree):
        match node:
            case ast.Import(names=aliases):
                names = [part for alias in aliases for part in alias.name.split(".")]
            case ast.ImportFrom(module=module, names=aliases, level=0):
                names = [*(module or "").split("."), *(alias.name for alias in aliases)]
            case ast.Attribute(value=ast.Name(id=receiver), attr=name) if receiver in OWN_RECEIVERS:
                names = [] if name in own | inherited else [name]
            case ast.Attribute(attr=name):
                names = [] if name in own else [name]
            case ast.Call(
                func=ast.Name(id="getattr" | "setattr" | "hasattr"), args=[_, ast.Constant(value=str(name)), *_]
            ):
                names = [name]
            case _:
                continue
        found += [f"{name} (line {node.lineno})" for name in names if is_private(name)]
    return found


def test_other_packages_are_used_by_their_public_names() -> None:
    files = {
        path.relative_to(ROOT).as_posix(): path.read_text("utf-8")
        for folder in FOLDERS
        for path in (ROOT / folder).rglob("*.py")
        if INSTALLED.isdisjoint(path.parts)
    }
    inherited = frozenset(
        name for path, source in files.items() if path not in ALLOWED for name in defined_names(ast.parse(source))
    )
    uses = {path: foreign_private_names(source, inherited) for path, source in files.items() if path not in ALLOWED}
    assert {path: names for path, names in uses.items() if names} == {}


@pytest.mark.parametrize(
    "source",
    [
        "from aiohttp import _x",
        "from aiohttp._websocket import reader",
        "import aiohttp._cookie_helpers",
        "runner._server.close()",
        "class A(B):\n    def start(self):\n        return self._runner.server",
        "getattr(client, '_session')",
        "request._message = None",
    ],
)
def test_a_private_name_of_another_package_is_found(source: str) -> None:
    assert foreign_private_names(source)


@pytest.mark.parametrize("path", sorted(ALLOWED))
def test_an_exception_documents_each_private_name(path: str) -> None:
    source = (ROOT / path).read_text("utf-8")
    names = {use.partition(" ")[0] for use in foreign_private_names(source)}
    assert names, f"{path} uses no private names any more"
    documentation = ast.get_docstring(ast.parse(source)) or ""
    assert [name for name in sorted(names) if f"{without_mangling(name)}" not in documentation] == []


def without_mangling(name: str) -> str:
    """Return `__name` for `_Class__name`."""
    _, mangled, rest = name.partition("__")
    return mangled + rest if mangled else name
