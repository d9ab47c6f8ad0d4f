"""The ctypes table, the header and the library say the same: names, arguments, structs, values."""

from __future__ import annotations

import ctypes
import os
import re
import subprocess
import sys
from pathlib import Path

import fpo
import pytest
from fpo import _lib, errors

HEADER = Path(__file__).resolve().parents[2] / "include" / "fpo.h"
pytestmark = pytest.mark.skipif(not HEADER.exists(), reason="fpo.h comes with the repository")

STRUCTS = {
    "fpo_parameter": _lib.Parameter,
    "fpo_utility_filter_config": _lib.UtilityFilterConfig,
    "fpo_loss": _lib.Loss,
    "fpo_policy_loss": _lib.PolicyLoss,
    "fpo_optimizer_config": _lib.OptimizerConfig,
    "fpo_tensor": _lib.Tensor,
    "fpo_language_model_config": _lib.LanguageModelConfig,
    "fpo_lora_config": _lib.LoraConfig,
    "fpo_generation_config": _lib.GenerationConfig,
    "fpo_environment": _lib.Environment,
    "fpo_penalty": _lib.Penalty,
    "fpo_simulation_inputs": _lib.SimulationInputs,
    "fpo_trace": _lib.Trace,
}
SCALARS = {
    "int32_t": ctypes.c_int32,
    "int64_t": ctypes.c_int64,
    "uint32_t": ctypes.c_uint32,
    "uint64_t": ctypes.c_uint64,
    "size_t": ctypes.c_size_t,
    "double": ctypes.c_double,
}


def source() -> str:
    text = re.sub(r"/\*.*?\*/", "", HEADER.read_text(), flags=re.DOTALL)
    return re.sub(r"(?m)^\s*#.*$", "", text)


def prototypes() -> dict[str, tuple[str, list[str]]]:
    """Name -> result and parameter types, as the header spells them."""
    found = {}
    pattern = r"FPO_API\s+([\w\s]+?[\s*]+)(fpo_\w+)\s*\(([^)]*)\)\s*;"
    for result, name, parameters in re.findall(pattern, source()):
        types = [re.sub(r"\b\w+$", "", one.strip()).strip() for one in parameters.split(",")]
        found[name] = (result.strip(), [] if parameters.strip() == "void" else types)
    return found


def spelled(c_type: str) -> object:
    """The ctypes class of a type of the header; "pointer" for every pointer."""
    return "pointer" if "*" in c_type else SCALARS[c_type.replace("const ", "").strip()]


def passed(c_type: object) -> object:
    """A ctypes class; "pointer" for every class of pointers."""
    return c_type if c_type in SCALARS.values() else "pointer"


def test_every_function_of_the_header_is_in_the_table() -> None:
    assert len(prototypes()) == source().count("FPO_API ")
    assert set(prototypes()) == set(_lib.SIGNATURES)


@pytest.mark.parametrize("name", sorted(_lib.SIGNATURES))
def test_arguments_are_those_of_the_header(name: str) -> None:
    result, parameters = prototypes()[name]
    ours = _lib.SIGNATURES[name]
    assert [passed(one) for one in ours[1:]] == [spelled(one) for one in parameters]
    if "*" in result:
        assert ours[0] is ctypes.c_char_p
    elif result == "void":
        assert ours[0] is None
    elif result == "int32_t" and name != "fpo_get_num_threads":
        assert ours[0] is _lib.STATUS
    else:
        assert ours[0] is spelled(result)


@pytest.mark.parametrize("name", sorted(_lib.SIGNATURES))
def test_struct_arguments_point_to_their_struct(name: str) -> None:
    for theirs, ours in zip(prototypes()[name][1], _lib.SIGNATURES[name][1:], strict=True):
        struct = STRUCTS.get(theirs.replace("const ", "").replace("*", "").strip())
        if struct is not None:
            assert ours._type_ is struct


def test_structs_have_the_layout_that_a_c_compiler_gives_them(tmp_path: Path) -> None:
    lines, expected = [], []
    for name, struct in STRUCTS.items():
        lines.append(f'printf("%zu\\n", sizeof({name}));')
        expected.append(ctypes.sizeof(struct))
        for field, _ in struct._fields_:
            one = f"(({name} *)0)->{field}"
            lines.append(f'printf("%zu\\n%zu\\n", offsetof({name}, {field}), sizeof({one}));')
            descriptor = getattr(struct, field)
            expected += [descriptor.offset, descriptor.size]
    probe = tmp_path / "probe.c"
    probe.write_text(
        f'#include <stdio.h>\n#include "fpo.h"\nint main(void) {{ {" ".join(lines)} return 0; }}\n'
    )
    compiler = os.environ.get("FPO_TEST_CC", "cc")
    subprocess.run(
        [compiler, f"-I{HEADER.parent}", str(probe), "-o", str(tmp_path / "probe")], check=True
    )
    printed = subprocess.run([tmp_path / "probe"], check=True, capture_output=True, text=True)
    assert [int(line) for line in printed.stdout.split()] == expected


@pytest.mark.parametrize("name", sorted(STRUCTS))
def test_struct_fields_are_those_of_the_header(name: str) -> None:
    body = re.search(rf"typedef struct {name} \{{(.*?)\}} {name};", source(), re.DOTALL)
    assert body is not None
    fields = [
        re.sub(r"\[.*\]", "", one).split()[-1].lstrip("*")
        for declaration in body[1].split(";")
        for one in declaration.split(",")
        if one.strip()
    ]
    assert fields == [field for field, _ in STRUCTS[name]._fields_]


def test_the_library_exports_the_table_and_nothing_else() -> None:
    printed = subprocess.run(
        ["nm", "-D", "--defined-only", "--extern-only", str(fpo.library_path)],
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    exported = {line.split()[-1].split("@")[0] for line in printed.splitlines()}
    version_node = "FPO_0"
    assert exported - {version_node} == set(_lib.SIGNATURES)


def test_every_status_has_an_error_of_a_built_in_kind() -> None:
    statuses = dict(re.findall(r"(FPO_ERR_\w+)\s*=\s*(\d+)", source()))
    assert len(statuses) > 10
    for name, value in statuses.items():
        error = errors.error_of_status(int(value))
        assert error is not fpo.FpoError, name
        assert issubclass(error, (ValueError, MemoryError, RuntimeError, ArithmeticError)), name


def test_versions_agree() -> None:
    version = re.search(r'#define FPO_VERSION "(.*)"', HEADER.read_text())
    assert version is not None
    assert fpo.__version__ == version[1]
    assert fpo.build_info()["version"] == version[1]
    abi = re.findall(r"#define FPO_ABI_M\w+ (\d+)u", HEADER.read_text())
    assert [_lib.ABI_MAJOR, _lib.ABI_MINOR] == [int(number) for number in abi]


def test_a_missing_library_is_reported_with_every_candidate(tmp_path: Path) -> None:
    absent = tmp_path / "absent.so"
    result = subprocess.run(
        [sys.executable, "-c", "import fpo"],
        env={**os.environ, "FPO_LIBRARY": str(absent)},
        capture_output=True,
        text=True,
    )
    assert result.returncode == 1
    assert "LibraryNotFoundError" in result.stderr
    assert str(absent) in result.stderr
    assert "FPO_LIBRARY" in result.stderr


def test_a_library_of_another_abi_is_refused(tmp_path: Path) -> None:
    code = tmp_path / "other.c"
    code.write_text("unsigned fpo_abi_version(void) { return 7u << 16; }\n")
    other = tmp_path / "libother.so"
    compiler = os.environ.get("FPO_TEST_CC", "cc")
    subprocess.run([compiler, "-shared", "-fPIC", str(code), "-o", str(other)], check=True)
    result = subprocess.run(
        [sys.executable, "-c", "import fpo"],
        env={**os.environ, "FPO_LIBRARY": str(other)},
        capture_output=True,
        text=True,
    )
    assert result.returncode == 1
    assert "AbiError" in result.stderr and "7.0" in result.stderr


def test_an_error_names_the_function_and_the_argument() -> None:
    with pytest.raises(errors.DomainError) as caught:
        _lib.lib.fpo_set_num_threads(-5)
    assert "fpo_set_num_threads" in str(caught.value)
    assert caught.value.status == 2
