"""Every command can be asked on a machine without the extras: what needs one says so when it is used."""

import subprocess
import sys

EXTRAS = (
    "duckdb",
    "h5py",
    "huggingface_hub",
    "jinja2",
    "numpy",
    "pandas",
    "pyarrow",
    "securesystemslib",
    "tables",
    "tuf",
)
CODE = f"""
import importlib, pkgutil, sys
for name in {EXTRAS}:
    sys.modules[name] = None
import pe_data.cli
for module in pkgutil.iter_modules(pe_data.cli.__path__):
    importlib.import_module(f"pe_data.cli.{{module.name}}")
import pe_data.catalogue.write, pe_data.read.diff, pe_data.write.preview, pe_data.write.publish, pe_data.certify.certify
print(len(sys.modules))
"""


def test_no_command_needs_an_extra_to_be_imported() -> None:
    done = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
