"""Stores: one abstract contract, and a backend each for folder, S3, GCS, Azure, HTTP, memory."""

from pe_data.store.base import ObjectMeta, Store, StoredDocument, VersionToken

__all__ = ["ObjectMeta", "Store", "StoredDocument", "VersionToken"]
