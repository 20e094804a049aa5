"""The manifest of an artifact: a small JSON document that describes a file without its bytes."""

from pe_data.manifest.model import Manifest

__all__ = ["Manifest"]
