"""Signing keys: in encrypted files that only their owner can read, or held elsewhere.

A key has a public description, `NAME.pub` (JSON, to pass on), and usually a private part beside it,
`NAME.key` (PKCS8, encrypted with a passphrase, readable by its owner alone). A reference to a
signer is one of

* `NAME` or a path of a `.key` or `.pub` file;
* `env:VARIABLE`, a PKCS8 PEM in an environment variable, for machines that have no other place;
* a name whose `.pub` says where the private part is: any signer address of `securesystemslib`
  (`gcpkms:…`, `awskms:…`, `azurekms:…`, `hsm:…`), which is passed on as it is.
"""

import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from pe_data.config.settings import APP
from pe_data.documents.document import Document, Text
from pe_data.documents.signing_libraries import need_libraries
from pe_data.errors import InputError, InvalidDocumentError
from pe_data.files.atomic import SECRET, write_atomic
from pe_data.files.private import check_private
from pe_data.names.digests import read_named

if TYPE_CHECKING:
    from securesystemslib.signer import CryptoSigner, Key, Signer

KEYS_VARIABLE = "PE_DATA_KEYS"
PRIVATE, PUBLIC = ".key", ".pub"
SHORTEST_PASSPHRASE = 8
Passphrase = Callable[[str], str]
"""Gets what the passphrase is for, and returns it."""


class KeyFile(Document, frozen=True):
    """What a `.pub` file holds; the key is in The Update Framework's form."""

    HEAD: ClassVar[Mapping[str, int | str]] = {}
    key_id: Text
    key: Mapping[str, Any]
    signer: Text | None = None


@dataclass(frozen=True, slots=True)
class PublicKey:
    """The public description of a key."""

    name: str
    key_id: str
    key: Mapping[str, object]
    """Type, scheme and public bytes, in The Update Framework's form."""
    signer: str | None = None
    """Address of the private part, if it is not in a file beside this."""

    @classmethod
    def of(cls, name: str, key: "Key", signer: str | None = None) -> "PublicKey":
        """The description of a loaded key."""
        return cls(name, key.keyid, key.to_dict(), signer)

    @classmethod
    def read(cls, path: Path) -> "PublicKey":
        """Read a `.pub` file. Raises InputError, InvalidDocumentError."""
        found = KeyFile.from_bytes(read_named(path, f"key {path}"), str(path))
        return cls(path.stem, found.key_id, found.key, found.signer)

    def to_bytes(self) -> bytes:
        """JSON with a line end, for people too."""
        return KeyFile(self.key_id, self.key, self.signer).to_bytes() + b"\n"

    def load(self) -> "Key":
        """The key, ready to verify. Raises InvalidDocumentError."""
        need_libraries()
        from securesystemslib.signer import Key

        try:
            return Key.from_dict(self.key_id, dict(self.key))
        except (KeyError, TypeError, ValueError) as error:
            raise InvalidDocumentError(f"key {self.name}: expected a public key, found {error}") from error


def key_folder() -> Path:
    """`PE_DATA_KEYS`, else a folder in the user's data folder for `pe-data`."""
    if os.environ.get(KEYS_VARIABLE):
        return Path(os.environ[KEYS_VARIABLE]).expanduser()
    import platformdirs

    return platformdirs.user_data_path(APP, appauthor=False) / "keys"


def new_key(name: str, passphrase: str) -> PublicKey:
    """Make an ed25519 key and write its two files.

    Raises:
        InputError: the name is taken or not a file name, or the passphrase is too short.
    """
    need_libraries()
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, PrivateFormat
    from securesystemslib.signer import CryptoSigner

    path = _new_path(name)
    if len(passphrase) < SHORTEST_PASSPHRASE:
        raise InputError(f"key {name}: passphrase: expected at least {SHORTEST_PASSPHRASE} characters")
    private = Ed25519PrivateKey.generate()
    public = PublicKey.of(name, CryptoSigner(private).public_key)
    pem = private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(passphrase.encode()))
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    write_atomic(path, pem, mode=SECRET)
    write_atomic(path.with_suffix(PUBLIC), public.to_bytes())
    return public


def describe_key(name: str, public_pem: bytes, signer: str) -> PublicKey:
    """Write the `.pub` of a key whose private part is held elsewhere.

    Args:
        public_pem: The public key, as its holder exports it.
        signer: Its address for `securesystemslib`, such as `gcpkms:projects/…`.

    Raises:
        InputError: the name is taken, or the PEM or the address cannot be used.
    """
    need_libraries()
    from cryptography.hazmat.primitives.serialization import load_pem_public_key
    from securesystemslib.signer import SIGNER_FOR_URI_SCHEME, SSlibKey

    path = _new_path(name)
    if signer.partition(":")[0] not in SIGNER_FOR_URI_SCHEME:
        known = ", ".join(sorted(SIGNER_FOR_URI_SCHEME))
        raise InputError(f"key {name}: signer: expected an address beginning with one of {known}, found {signer!r}")
    try:
        key = SSlibKey.from_crypto(load_pem_public_key(public_pem))
    except ValueError as error:
        raise InputError(f"key {name}: expected a public key in PEM, found {error}") from error
    public = PublicKey.of(name, key, signer)
    write_atomic(path.with_suffix(PUBLIC), public.to_bytes())
    return public


def list_keys() -> Iterator[PublicKey]:
    """Every key of the folder, by name."""
    for path in sorted(key_folder().glob(f"*{PUBLIC}")):
        yield PublicKey.read(path)


def find_public(reference: str) -> PublicKey:
    """The public description behind a name or a path. Raises InputError."""
    return PublicKey.read(_path(reference).with_suffix(PUBLIC))


def load_signer(reference: str, passphrase: Passphrase | None = None) -> "Signer":
    """The signer behind a reference; see the module.

    Args:
        passphrase: Asked only if the key is encrypted.

    Raises:
        InputError: there is no such key, or the passphrase is wrong.
        ConfigError: others can read its file.
    """
    need_libraries()
    if reference.startswith("env:"):
        return _from_environment(reference.removeprefix("env:"), passphrase)
    path = _path(reference)
    public = PublicKey.read(path.with_suffix(PUBLIC))
    if public.signer is not None:
        return _held_elsewhere(public, public.signer, passphrase)
    private = path.with_suffix(PRIVATE)
    try:
        pem = private.read_bytes()
    except OSError as error:
        raise InputError(
            f"key {private}: cannot be read: {error.strerror or error}. This machine may hold only its public part"
        ) from error
    check_private(private)
    return _open(pem, str(private), passphrase, public.load())


def _from_environment(variable: str, passphrase: Passphrase | None) -> "Signer":
    pem = os.environ.get(variable)
    if not pem:
        raise InputError(f"key env:{variable}: expected a PKCS8 PEM in the environment variable, found nothing")
    return _open(pem.encode(), f"env:{variable}", passphrase, None)


def _open(pem: bytes, what: str, passphrase: Passphrase | None, public: "Key | None") -> "CryptoSigner":
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key
    from securesystemslib.exceptions import KeyMismatchError
    from securesystemslib.signer import CryptoSigner, SSlibKey

    secret = None
    if b"ENCRYPTED" in pem:
        if passphrase is None:
            raise InputError(f"key {what}: it is encrypted, and there is nobody to ask for its passphrase")
        secret = passphrase(what).encode()
    try:
        private = load_pem_private_key(pem, secret)
    except ValueError as error:
        raise InputError(f"key {what}: wrong passphrase, or not a PKCS8 PEM ({error})") from error
    if not isinstance(private, Ed25519PrivateKey):
        raise InputError(f"key {what}: expected an ed25519 key, found {type(private).__name__}")
    try:
        return CryptoSigner(private, public if isinstance(public, SSlibKey) else None)
    except (KeyMismatchError, ValueError) as error:
        raise InputError(f"key {what}: does not belong to the {PUBLIC} file beside it") from error


def _held_elsewhere(public: PublicKey, address: str, passphrase: Passphrase | None) -> "Signer":
    from securesystemslib.exceptions import Error
    from securesystemslib.signer import Signer

    try:
        return Signer.from_priv_key_uri(address, public.load(), passphrase)
    except (Error, ImportError, OSError, ValueError) as error:
        raise InputError(f"key {public.name}: {address}: the signer cannot be used: {error}") from error


def _new_path(name: str) -> Path:
    if not name or Path(name).name != name or name.startswith("."):
        raise InputError(f"key: expected a plain name such as alice, found {name[:80]!r}")
    path = key_folder() / f"{name}{PRIVATE}"
    for taken in (path, path.with_suffix(PUBLIC)):
        if taken.exists():
            raise InputError(f"key {taken}: expected a new name, found a key that is there already")
    return path


def _path(reference: str) -> Path:
    given = Path(reference).expanduser()
    if given.suffix in (PRIVATE, PUBLIC):
        return given
    path = key_folder() / f"{reference}{PUBLIC}"
    if not path.is_file():
        known = ", ".join(sorted(one.stem for one in path.parent.glob(f"*{PUBLIC}"))) or "no keys"
        raise InputError(f"key {reference!r}: expected a name in {path.parent} or a file, found {known} there")
    return path
