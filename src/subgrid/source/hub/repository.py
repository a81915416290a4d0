"""One data set repository of a Hugging Face hub: its commit, its listing, the addresses of its files.

Asked through ``huggingface_hub``: it knows the protocol, the pages of a listing, and where a user's token is.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from subgrid import __version__
from subgrid.errors import InputError, MissingExtraError, SettingsError, SubgridError
from subgrid.source.hub.pace import RETRIED, Pace, Patience, asked_wait
from subgrid.source.hub.session import limit_silence

LOW_RESOLUTION = "LEAP/ClimSim_low-res"
"""The repository of the low-resolution run; the others are LEAP/ClimSim_low-res_aqua-planet and _high-res."""

_CONTACTS = 4  # requests to a hub that does not answer until its name or the network is doubted
Answer = TypeVar("Answer")


@dataclass(frozen=True)
class RemoteFile:
    """A file as the hub lists it.

    Attributes:
        name: its path in the repository.
        size: bytes.
        digest: ``sha256:...`` of the content, or ``git:...`` (sha1 of git's blob) where the hub keeps it in git itself.
    """

    name: str
    size: int
    digest: str


@dataclass(frozen=True)
class Repository:
    """A data set repository.

    Attributes:
        name: ``owner/name``.
        endpoint: the hub's address; None is that of HF_ENDPOINT, else huggingface.co.
        patience: how stubbornly the hub is asked.
    """

    name: str
    endpoint: str | None = None
    patience: Patience = Patience()

    def __post_init__(self) -> None:
        try:
            from huggingface_hub.errors import HFValidationError
            from huggingface_hub.utils import validate_repo_id
        except ImportError as error:
            raise MissingExtraError(
                f"{self.name}: asking the Hugging Face hub needs an optional library; pip install 'subgrid[hub]'"
            ) from error
        try:
            validate_repo_id(self.name)
        except HFValidationError as error:
            raise SettingsError(f"{self.name!r}: expected a repository like {LOW_RESOLUTION} ({error})") from error

    @property
    def host(self) -> str:
        """The address of the hub: HF_ENDPOINT is read when asked, not when a library was imported."""
        from huggingface_hub import constants

        return (self.endpoint or os.environ.get("HF_ENDPOINT") or constants.ENDPOINT).rstrip("/")

    def headers(self) -> dict[str, str]:
        """Headers of a request to the hub, with the user's token where there is one: never to be shown.

        The token is looked for where huggingface_hub does (HF_TOKEN, the stored login). An HTTP client must drop it
        when it follows a redirect to another host.
        """
        from huggingface_hub.utils import build_hf_headers

        return {**build_hf_headers(library_name="subgrid", library_version=__version__), "Accept-Encoding": "identity"}

    def url(self, commit: str, name: str) -> str:
        """Where the hub serves a file of a commit."""
        from huggingface_hub import hf_hub_url

        return hf_hub_url(self.name, name, repo_type="dataset", revision=commit, endpoint=self.host)

    def commit(self) -> str:
        """The hash of the newest commit.

        Raises:
            InputError: there is no such repository, or not for this user.
            SubgridError: the hub does not answer.
        """
        info = self._ask(
            lambda api: api.dataset_info(self.name, expand=["sha"]), min(_CONTACTS, self.patience.attempts)
        )
        if not info.sha:
            raise InputError(f"{self.name}: {self.host} names no commit of it; is the repository empty?")
        return str(info.sha)

    def files(self, folder: str, commit: str) -> list[RemoteFile]:
        """Files directly in a folder ('' is the root) of a commit, all pages of the listing; none where it is absent.

        Raises as ``commit`` does. The library itself asks each page again on 429, 5xx and cut connections.
        """
        from huggingface_hub.errors import RemoteEntryNotFoundError
        from huggingface_hub.hf_api import RepoFile

        def ask(api: Any) -> list[Any]:
            found: list[Any] = []
            try:
                found.extend(api.list_repo_tree(self.name, folder or None, revision=commit, repo_type="dataset"))
            except RemoteEntryNotFoundError as error:
                if found:  # not the folder, a later page of its listing
                    raise SubgridError(f"{self.name}: {self.host} does not list all of {folder}; try later") from error
            return found

        return [
            RemoteFile(item.path, item.size, f"sha256:{item.lfs.sha256}" if item.lfs else f"git:{item.blob_id}")
            for item in self._ask(ask, attempts=1)
            if isinstance(item, RepoFile)
        ]

    def _ask(self, call: Callable[[Any], Answer], attempts: int) -> Answer:
        """What a call of the library answers; its errors become ours."""
        import httpx2
        from huggingface_hub import HfApi
        from huggingface_hub.errors import HfHubHTTPError, OfflineModeIsEnabled

        limit_silence()
        api = HfApi(endpoint=self.host, library_name="subgrid", library_version=__version__)
        attempt, pace = 1, Pace(self.patience)
        while True:
            try:
                return call(api)
            except OfflineModeIsEnabled as error:
                raise SubgridError(f"{self.name}: HF_HUB_OFFLINE forbids to ask {self.host}; unset it") from error
            except HfHubHTTPError as error:
                refused = self._refusal(error)
                status, asked = error.response.status_code, asked_wait(error.response.headers)
                if status not in RETRIED or attempt >= attempts or (asked or 0) > self.patience.longest_asked:
                    raise refused from error
            except httpx2.HTTPError as error:
                asked = None
                if attempt >= attempts:
                    raise SubgridError(
                        f"{self.name}: {self.host} cannot be reached ({type(error).__name__}: {error}); is there a "
                        "network, a proxy to be named in HTTPS_PROXY, a mirror to be named in HF_ENDPOINT?"
                    ) from error
            pace.after(attempt, asked)
            attempt += 1

    def _refusal(self, error: Any) -> SubgridError:
        """An answer of the hub that is an error, in words: its status, never its headers."""
        from huggingface_hub.errors import RepositoryNotFoundError, RevisionNotFoundError

        if isinstance(error, RevisionNotFoundError):
            return InputError(f"{self.name}: {self.host} does not have the commit of the plan; make another plan")
        status = error.response.status_code
        if isinstance(error, RepositoryNotFoundError) or status in (401, 403, 404):
            return no_access(self.name, self.host, status)
        return SubgridError(f"{self.name}: {self.host} answers with status {status}; try again later")


def no_access(name: str, host: str, status: int) -> InputError:
    """The error for a repository that is not there, or not for this user: the hub does not say which."""
    return InputError(
        f"{name}: {host} has no such data set repository, or does not open it to you (status {status}); check the "
        "name, and for a private or gated one set HF_TOKEN or run `hf auth login`"
    )
