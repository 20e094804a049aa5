"""Links to one payload that work for a few minutes, without a token.

Where the store can (S3, GCS, Azure), the link is presigned and the bytes go past the gateway. Else it
leads back here and carries what it allows, under a keyed hash. `itsdangerous` makes it, because it
already handles signing scope, separation of purposes (`salt`), constant-time comparison and expiry.

The key is made at every start and never stored: a restart ends links, and clients ask for new ones.
"""

import secrets
from datetime import timedelta
from hashlib import sha256
from typing import TYPE_CHECKING

from itsdangerous import BadSignature, SignatureExpired, URLSafeTimedSerializer

from pe_data.errors import StoreError
from pe_data.names.keys import ObjectKind, parse_object_key
from pe_data.store.base import Store
from pe_data.store.objects import ObjectStore
from pe_data.store.translate import translated
from pe_data_gateway.refusal import Refusal

if TYPE_CHECKING:
    from obstore.store import AzureStore, GCSStore, S3Store

SALT = "pe-data payload link"
_AGAIN = "Ask for the payload again with your token; links last only some minutes"


class Links:
    """Makes and reads links."""

    def __init__(self, store: Store, seconds: int, *, presign: bool = True) -> None:
        self._store, self._seconds = store, seconds
        self._client = _signing_client(store) if presign else None
        self._serializer = URLSafeTimedSerializer(
            secrets.token_bytes(32),
            salt=SALT,
            signer_kwargs={"digest_method": sha256, "key_derivation": "hmac"},
        )

    @property
    def presigned(self) -> bool:
        """Whether links lead to the store itself."""
        return self._client is not None

    def presign(self, key: str) -> str:
        """An address at the store; may ask the network. Raises StoreError."""
        import obstore

        if self._client is None:
            raise StoreError(f"{self._store.url}: cannot presign addresses")
        with translated(self._store.url, key):
            return obstore.sign(self._client, "GET", key, timedelta(seconds=self._seconds))

    def make(self, key: str, token_id: str) -> str:
        """The last part of an address of this gateway that gives the payload `key`, and nothing else."""
        return str(self._serializer.dumps([key, token_id]))

    def read(self, text: str) -> tuple[str, str]:
        """Key and token id of a link. Raises Refusal if it was not made here, was changed, or is too old."""
        try:
            key, token_id = self._serializer.loads(text, max_age=self._seconds)
        except SignatureExpired:
            raise Refusal(403, "link-expired", "the link has expired", _AGAIN) from None
        except BadSignature:
            raise Refusal(403, "link-forged", "the link was not made by this gateway as it is", _AGAIN) from None
        parsed = parse_object_key(key)
        if parsed is None or parsed.kind is not ObjectKind.PAYLOAD:
            raise Refusal(403, "link-forged", "the link is not one to a payload", _AGAIN)
        return key, token_id


def _signing_client(store: Store) -> "AzureStore | GCSStore | S3Store | None":
    from obstore.store import AzureStore, GCSStore, S3Store

    client = getattr(store, "client", None)  # which a folder that is not there yet has not
    if isinstance(store, ObjectStore) and isinstance(client, AzureStore | GCSStore | S3Store):
        return client
    return None
