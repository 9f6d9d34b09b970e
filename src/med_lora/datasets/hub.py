"""Data sets of the Hugging Face hub, at a pinned revision. Reads the network."""

from __future__ import annotations

from collections.abc import Sequence

from med_lora.datasets.errors import DatasetInputError
from med_lora.parameters import HubParams


def download_dataset(hub: HubParams, files: Sequence[str]) -> str | None:
    """Folder with the files of a data set at its revision: from the hub, or out of its reach from its local cache.

    Args:
        hub: id and commit.
        files: paths or patterns inside the data set.

    Returns:
        The folder, or None where neither the hub nor a copy in the cache can be reached.

    Raises:
        DatasetInputError: if the hub answers that there is no such data set or revision, or that access is refused.
    """
    from httpx2 import TransportError
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import (
        GatedRepoError,
        HfHubHTTPError,
        IncompleteSnapshotError,
        LocalEntryNotFoundError,
        OfflineModeIsEnabled,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    absent = (IncompleteSnapshotError, LocalEntryNotFoundError)
    unreachable = (OfflineModeIsEnabled, TransportError, HfHubHTTPError)
    patterns = [*files, *(f"{file}/*" for file in files)]  # a folder is everything below it
    try:
        # Out of reach, it falls back to what its cache holds of the commit.
        return snapshot_download(hub.id, repo_type="dataset", revision=hub.revision, allow_patterns=patterns)
    except GatedRepoError as error:
        raise DatasetInputError(
            f"The hub data set {hub.id} is gated; accept its terms there and set HF_TOKEN, or put its files below "
            "raw_root and remove `hub`."
        ) from error
    except (RepositoryNotFoundError, RevisionNotFoundError) as error:
        raise DatasetInputError(
            f"The hub has no data set {hub.id} at revision {hub.revision}, or it is private; check `hub` of the corpus."
        ) from error
    except (*absent, *unreachable):
        return None
