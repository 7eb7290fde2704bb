"""The upload components of docs/uploaders.md: their pages, and what their users see."""

from __future__ import annotations

import re
import shutil
from dataclasses import dataclass
from pathlib import Path

from tests.harness.npm import install_packages
from tests.harness.processes import ROOT, run
from tests.uploaders.recipes import PAGE, recipe

HERE = Path(__file__).parent
_REACT = """
import { createRoot } from 'react-dom/client'
import Uploads from './RECIPE'
createRoot(document.querySelector('#uploads')).render(<Uploads />)
"""
_VUE = """
import { createApp } from 'vue'
import Uploads from './RECIPE'
createApp(Uploads).mount('#uploads')
"""
LIBRARY_REFUSALS = ("不支持此类型", "凭证已过期")


def cors_rule(column: int) -> list[dict[str, list[str]]]:
    """Return the CORS rule that a column of the document has: 1 for forms, 2 for parts too."""
    cells = {}
    for name in ("origins", "methods", "headers"):
        for line in re.findall(rf"^\| (?:Allowed|Exposed) {name} \|.*", PAGE.read_text("utf-8"), re.MULTILINE):
            label, *values = (cell.strip(" `") for cell in line.strip("|").split("|"))
            cells[label.lower().replace(" ", "_").replace("exposed", "expose")] = re.findall(
                r"[^, ]+", values[column - 1]
            )
    return [{**cells, "allowed_origins": ["*"]}]


@dataclass(frozen=True)
class Component:
    """An upload component, by its heading in the document, and selectors of what a user sees and clicks."""

    title: str
    language: str
    package: str
    done: str
    """A finished file."""
    percent: str
    """JavaScript for the progress of the only file."""
    cancel: str
    error: str
    """Shows why a file failed."""
    error_attribute: str = ""
    """Has the reason, if it is not the text of `error`."""
    failed: str = ""
    """What the pointer has to be on before `error` is there."""
    refusals: tuple[str, str] = (
        "this app allows image/jpeg",
        "The OSS Access Key Id you provided does not exist in our records",
    )
    """What it shows when the signer refuses, and when OSS does."""
    entry: str = "import './RECIPE'"
    html: str = "<div id=uploads></div>"
    heading: str = ""
    """That of its recipe, if it is not its title."""
    glue: str = ""
    """A word of the block in docs/http.md that completes the recipe."""
    packages: Path = HERE
    """Where its package is installed."""
    page: str = ""
    """The file of the recipe in the project at `packages`, which is built as a whole."""
    build: tuple[str, ...] = ()
    """What builds that project."""

    @property
    def uses_library(self) -> bool:
        """Whether the library sends the files. It replaces more characters of names."""
        return self.refusals is LIBRARY_REFUSALS

    @property
    def name(self) -> str:
        """Its name in file names."""
        return re.sub(r"\W+", "-", self.title).lower()


COMPONENTS = [
    Component(
        "antd Upload",
        "jsx",
        "antd",
        done=".ant-upload-list-item-done",
        percent="document.querySelector('.ant-progress').getAttribute('aria-valuenow')",
        cancel=".ant-upload-list-item [title='Remove file']",
        failed=".ant-upload-list-item-error",
        error=".ant-tooltip",
        entry=_REACT,
        refusals=LIBRARY_REFUSALS,
    ),
    Component(
        "Element Plus",
        "vue",
        "element-plus",
        done=".el-upload-list__item.is-success",
        percent="document.querySelector('.el-progress').getAttribute('aria-valuenow')",
        cancel=".el-upload-list__item .el-icon--close",
        error=".el-message",
        entry=_VUE,
        refusals=LIBRARY_REFUSALS,
    ),
    Component(
        "FilePond",
        "js",
        "filepond",
        done="[data-filepond-item-state='processing-complete']",
        percent="document.querySelector('.filepond--file-status-main').textContent.match(/(\\d+)%/)[1]",
        cancel=".filepond--action-abort-item-processing",
        error=".filepond--file-status-main",
        html="<input id=uploads type=file>",
        refusals=LIBRARY_REFUSALS,
    ),
    Component(
        "Vant and axios",
        "vue",
        "vant",
        done=".van-uploader__preview:not(:has(.van-uploader__mask))",
        percent="parseFloat(document.querySelector('.van-uploader__mask-message').textContent)",
        cancel=".van-uploader__preview",
        error=".van-uploader__mask-message",
        entry=_VUE,
    ),
    Component(
        "Dropzone",
        "js",
        "dropzone",
        done=".dz-success",
        percent="parseFloat(document.querySelector('[data-dz-uploadprogress]').style.width)",
        cancel=".dz-remove",
        error="[data-dz-errormessage]",
        html="<div id=uploads class=dropzone></div>",
    ),
    *(
        Component(
            title,
            language,
            package,
            done=".done",
            percent="parseFloat(document.querySelector('.uploading').textContent)",
            cancel=".uploading",
            error=".failed",
            refusals=LIBRARY_REFUSALS,
            packages=ROOT / "tests/frameworks" / folder,
            page=f"src/pages/index/index.{language}",
            build=build,
        )
        for title, language, package, folder, build in (
            ("Taro", "jsx", "@tarojs/taro", "taro", ("taro", "build", "--type", "h5", "--no-check")),
            ("uni-app", "vue", "@dcloudio/uni-app", "uni", ("uni", "build", "-p", "h5")),
        )
    ),
    *(
        Component(
            f"Uppy {version}",
            "js",
            "@uppy/core",
            done=".uppy-Dashboard-Item.is-complete",
            percent="document.querySelector('.uppy-StatusBar-progress').getAttribute('aria-valuenow')",
            cancel=".uppy-Dashboard-Item-action--remove",
            error=".uppy-Dashboard-Item-errorDetails",
            error_attribute="aria-label",
            refusals=("this app allows image/jpeg", refusal),
            heading="Uppy 6 and 5",
            glue=glue,
            packages=packages,
        )
        for version, refusal, glue, packages in (
            (6, "S3 returned 403", "signRequest", HERE),
            (5, "Non 2xx", "createMultipartUpload", ROOT / "tests/uppy/uppy5"),
        )
    ),
]


def _source(component: Component) -> str:
    code = recipe(component.heading or component.title, component.language)
    if component.glue:
        blocks: list[str] = re.findall(r"^```js\n(.*?)^```$", (ROOT / "docs/http.md").read_text("utf-8"), re.M | re.S)
        [glue] = [block for block in blocks if "uppy.use(AwsS3" in block and component.glue in block]
        code += glue
    return code


async def build_pages(directory: Path) -> None:
    """Bundle each component's page, as `NAME.entry.js` and `.css`."""
    components = [each for each in COMPONENTS if not each.page]
    await install_packages(HERE)  # has the bundler
    for packages in dict.fromkeys(each.packages for each in components):
        await install_packages(packages)
        folder = directory / packages.name
        folder.mkdir()
        (folder / "oss.js").write_text(recipe("Web pages", "js"), "utf-8")
        for each in components:
            if each.packages == packages:
                file = f"{each.name}.{each.language}"
                (folder / file).write_text(_source(each), "utf-8")
                (folder / f"{each.name}.entry.jsx").write_text(each.entry.replace("RECIPE", file), "utf-8")
        built = await run("node", HERE / "build.mjs", folder, packages)
        assert built.status == 0, built.err
        for made in folder.glob("*.entry.*s"):
            made.rename(directory / made.name)


async def build_site(component: Component, directory: Path) -> Path:
    """Build a copy of the component's project with its recipe as the page, and return the directory of the site."""
    await install_packages(component.packages)
    project, modules = directory / component.name, directory / component.name / "node_modules"
    shutil.copytree(component.packages, project, ignore=shutil.ignore_patterns("node_modules", "dist"))
    (project / component.page).write_text(_source(component), "utf-8")
    modules.mkdir()
    for each in (component.packages / "node_modules").iterdir():
        if each.name != "@oss-signer":
            (modules / each.name).symlink_to(each)
    library = ROOT / "miniprogram/upload"
    shutil.copytree(library, modules / "@oss-signer/upload", ignore=shutil.ignore_patterns("node_modules"))
    program, *arguments = component.build
    environ = {"OUTPUT": "dist", "UNI_OUTPUT_DIR": str(project / "dist")}
    built = await run(modules / ".bin" / program, *arguments, cwd=project, environ=environ)
    assert built.status == 0, built.out + built.err
    return project / "dist"
