"""What `pe-data serve` is told."""

from dataclasses import dataclass
from pathlib import Path

EVERY_RECORDS = 1000
EVERY_SECONDS = 300.0


@dataclass(frozen=True, slots=True)
class Settings:
    """How a gateway runs."""

    countries: tuple[str, ...]
    tokens_path: Path
    log: Path | None
    """Folder in which `audit/{country}/` is written; None for the store's own folder."""
    host: str
    port: int
    """0 for a free one."""
    rate: float
    """Requests per second and user in the long run."""
    burst: int
    """Requests of a user at once; a collection of 500 members takes 1000."""
    link_seconds: int
    presign: bool
    """Where the store can."""
    certificate: Path | None
    key: Path | None
    proxy: str | None
    """Address (or network) of the proxy in front that ends TLS, whose statement of the client's address is trusted.
    Nobody else is let in without TLS then."""
    signers: tuple[str, ...]
    """Names of the keys that sign checkpoints."""
    every_records: int
    every_seconds: float
    new_log: bool
    """In an empty folder, go on after the log that the store has copies of."""
    kept: tuple[Path, ...]
    """Checkpoints that the log has to agree with, whoever signed them."""
