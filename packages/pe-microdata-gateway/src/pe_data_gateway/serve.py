"""Build a gateway and run it until it is stopped."""

import asyncio
import ipaddress
import socket
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import uvicorn

from pe_data.errors import AuditError, GatewayError, InvalidDocumentError
from pe_data.store.base import Store
from pe_data.store.folder import FolderStore
from pe_data_gateway import logs
from pe_data_gateway.app import BehindProxy, make_app
from pe_data_gateway.audit.checkpoints import country_of
from pe_data_gateway.audit_log import AuditLog
from pe_data_gateway.audit_recovery import Evidence
from pe_data_gateway.checkpointer import Checkpointer, check_signers
from pe_data_gateway.documents import Documents
from pe_data_gateway.front_page import FrontPage
from pe_data_gateway.limits import RateLimit
from pe_data_gateway.links import Links
from pe_data_gateway.revocations import Revocations
from pe_data_gateway.service import Gateway
from pe_data_gateway.settings import Settings
from pe_data_gateway.tokens import TokenBook

if TYPE_CHECKING:
    from securesystemslib.signer import Signer


def serve(store: Store, settings: Settings, signers: "Sequence[Signer]", on_ready: Callable[[str], None]) -> None:
    """Run until SIGINT or SIGTERM.

    Args:
        store: The private store.
        signers: For checkpoints: those that the settings name.
        on_ready: Called with the address once requests are answered.

    Raises:
        ConfigError: the file of tokens cannot be used.
        AuditError: the log cannot be written, or is not as it was left; or its checkpoints would not count.
        TrustRootError, ExpiredError: a trust root is configured, and the store's cannot be used.
        GatewayError: the address cannot be used as asked.
    """
    network = _proxy_network(settings.proxy)
    _check_transport(settings)
    root = _log_root(store, settings)
    tokens = TokenBook(settings.tokens_path)
    evidence = _evidence(store, root, settings, signers)
    kept = _kept(settings)
    listening = _listen(settings.host, settings.port)
    written: dict[str, AuditLog] = {}
    try:
        for country in settings.countries:
            written[country] = AuditLog(root, country, evidence=replace(evidence, kept=kept.get(country, {})))
        archive = evidence.archive
        checkpointer = Checkpointer(
            written,
            signers=signers,
            every_records=settings.every_records,
            every_seconds=settings.every_seconds,
            archive=archive if archive and archive.writable else None,
        )
        gateway = Gateway(
            store=store,
            logs=written,
            tokens=tokens,
            limit=RateLimit(settings.rate, settings.burst),
            links=Links(store, settings.link_seconds, presign=settings.presign),
            documents=Documents(store),
            revocations=Revocations(store),
            front=FrontPage(store, written.keys()),
        )
        host, port = listening.getsockname()[:2]
        scheme = "https" if settings.certificate else "http"

        def on_start() -> None:
            loop = asyncio.get_running_loop()
            for log in written.values():
                log.deliver = loop.call_soon_threadsafe
            checkpointer.start()
            on_ready(f"{scheme}://{f'[{host}]' if ':' in host else host}:{port}")

        app = make_app(gateway, on_start=on_start, on_stop=checkpointer.stop)
        if network is not None:
            app = BehindProxy(app, network)
        uvicorn.Server(_config(app, settings)).run(sockets=[listening])
    finally:
        listening.close()
        for log in written.values():
            log.close()


def _config(app: object, settings: Settings) -> uvicorn.Config:
    return uvicorn.Config(
        app,  # type: ignore[arg-type]
        access_log=False,  # refusals are logged by the application, without links
        server_header=False,
        date_header=False,
        proxy_headers=False,  # BehindProxy sees to them, once it knows who sent them
        ssl_certfile=settings.certificate,
        ssl_keyfile=settings.key,
        timeout_graceful_shutdown=10,
        backlog=2048,
        log_config=logs.config(),
        ws="none",
    )


def _log_root(store: Store, settings: Settings) -> Path:
    if settings.log is not None:
        return settings.log.absolute()
    if isinstance(store, FolderStore):
        return store.root
    raise AuditError(
        f"{store.url}: the access log needs a folder on this machine (--log FOLDER): it is flushed to a disk before "
        "every answer. Finished files are copied to the store"
    )


def _evidence(store: Store, root: Path, settings: Settings, signers: "Sequence[Signer]") -> Evidence:
    """What the logs are compared with. Raises AuditError if what the signers sign would not count."""
    from pe_data.trust.opening import policy_if_any

    same = isinstance(store, FolderStore) and store.root.resolve() == root.resolve()
    policy = policy_if_any(store)
    for country in settings.countries:
        check_signers(policy, country, signers)
    archive = None if same or not store.listable else store
    return Evidence(policy, archive, new=settings.new_log, signs=bool(signers))


def _kept(settings: Settings) -> Mapping[str, Mapping[str, bytes]]:
    """The checkpoints that were handed in, by country and name. Raises AuditError."""
    found: dict[str, dict[str, bytes]] = {}
    for path in settings.kept:
        try:
            raw = path.read_bytes()
            country = country_of(raw, what=str(path))
        except OSError as error:
            raise AuditError(f"checkpoint {path}: cannot be read: {error.strerror}") from error
        except InvalidDocumentError as error:
            raise AuditError(str(error)) from error
        if country not in settings.countries:
            raise AuditError(
                f"{path}: expected a checkpoint of {', '.join(settings.countries)}, found one of {country!r}"
            )
        found.setdefault(country, {})[str(path)] = raw
    return found


def _check_transport(settings: Settings) -> None:
    """Tokens must not cross a network in the clear."""
    if settings.certificate or settings.proxy or is_loopback(settings.host):
        return
    raise GatewayError(
        f"address {settings.host}: expected TLS for an address that others can reach, found none. Name a certificate "
        "(--certificate, --key), or the proxy in front that ends TLS (--proxy ADDRESS)"
    )


def _proxy_network(text: str | None) -> ipaddress.IPv4Network | ipaddress.IPv6Network | None:
    if text is None:
        return None
    try:
        network = ipaddress.ip_network(text)
    except ValueError:
        network = None
    if network is None or network.prefixlen == 0:
        raise GatewayError(
            f"proxy {text[:80]!r}: expected the IP address of the proxy (or its network, 10.0.0.0/28), found something "
            "else: its word on who asks is believed, and requests from it need no TLS"
        )
    return network


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach `host`."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _listen(host: str, port: int) -> socket.socket:
    try:
        return socket.create_server(
            (host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET, backlog=2048
        )
    except OSError as error:
        raise GatewayError(
            f"address {host}:{port}: cannot listen there: {error.strerror or error}. Choose another --host or --port"
        ) from error
