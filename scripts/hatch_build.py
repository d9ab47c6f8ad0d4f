"""Puts libfpo.so into the wheel: FPO_LIBRARY if it is set, else the result of `make build`."""

import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class LibraryHook(BuildHookInterface):  # type: ignore[type-arg]
    """A wheel holds one library file; an editable install reads build/lib instead."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Name the library and the wheel's tag, for hatchling to act upon."""
        if version == "editable":
            return
        build_data["pure_python"] = False
        build_data["tag"] = "py3-none-linux_x86_64"
        build_data["force_include"][str(self._library())] = "fpo/lib/libfpo.so"

    def _library(self) -> Path:
        if prebuilt := os.environ.get("FPO_LIBRARY"):
            return Path(prebuilt).resolve(strict=True)
        if shutil.which("swift") is None:
            raise SystemExit("fpo: building from source needs Swift 6.3 or newer on PATH")
        subprocess.run(["make", "build"], cwd=self.root, check=True)
        return (Path(self.root) / "build/lib/libfpo.so").resolve(strict=True)
