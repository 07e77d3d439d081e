"""What an ``exa+bfs://`` URI says: which server, service and bucket, and where in the bucket."""

from __future__ import annotations

import urllib.parse
from dataclasses import dataclass
from pathlib import PurePosixPath

#: The URI's scheme: the scheme by which BucketFS is spoken to.
SCHEMES = {"exa+bfs": "http", "exa+bfss": "https"}
#: Where exasol-bucketfs looks for BucketFS when no port is given.
DEFAULT_PORT = 2580
FORM = "exa+bfs[s]://<host>:<port>/<BucketFS service>/<bucket>[/<path>]"
# What BucketFS unpacks for UDFs, which see `model` where `model.tar.gz` was uploaded.
_ARCHIVES = {".tar", ".gz", ".tgz", ".zip"}


class LocationError(ValueError):
    """A URI doesn't name a place in a bucket; the text says which part is at fault."""


@dataclass(frozen=True)
class BucketLocation:
    """A directory, or the whole, of one bucket.

    Attributes:
        url: Of the BucketFS server, ``http://host:port`` or ``https://host:port``.
        service: The BucketFS service's name, of which only UDFs see anything.
        bucket: The bucket's name.
        path: From the bucket's root, without a slash at either end; empty for the root itself.
    """

    url: str
    service: str
    bucket: str
    path: str

    @classmethod
    def parse(cls, uri: str) -> BucketLocation:
        """Read a URI.

        Args:
            uri: ``exa+bfs://`` for HTTP or ``exa+bfss://`` for HTTPS, then host, port, service,
                bucket and path; what isn't plain in a URL is percent-encoded.

        Raises:
            LocationError: The URI lacks a part, has one too many, or has a password in it.
        """
        parsed = urllib.parse.urlsplit(uri)
        # First, so that no other error's text repeats it.
        if "@" in parsed.netloc:
            raise LocationError(
                "an artifact URI must not have a user or password in it: set EXA_BUCKETFS_USER and "
                "EXA_BUCKETFS_PASSWORD instead"
            )
        fault = _fault(parsed)
        if fault:
            raise LocationError(f"{fault} in {uri!r}: the form is {FORM}")
        service, bucket, *path = [urllib.parse.unquote(part) for part in parsed.path.split("/") if part != ""]
        url = f"{SCHEMES[parsed.scheme]}://{parsed.hostname}:{parsed.port or DEFAULT_PORT}"
        return cls(url, service, bucket, "/".join(path))

    def udf_path(self) -> str:
        """Give the path at which UDFs see this place; an archive they see unpacked."""
        path = PurePosixPath("/buckets", self.service, self.bucket, self.path)
        while self.path and path.suffix in _ARCHIVES:
            path = path.with_suffix("")
        return str(path)


def udf_path(uri: str) -> str:
    """Give the path in the file system of a UDF of what an artifact URI names.

    Needs neither a password nor the network.

    Args:
        uri: As `BucketLocation.parse` takes it, for example of a logged model.

    Raises:
        LocationError: See `BucketLocation.parse`.
    """
    return BucketLocation.parse(uri).udf_path()


def _fault(parsed: urllib.parse.SplitResult) -> str:
    """Say what is wrong with a URI without a password; empty when nothing is."""
    try:
        port = parsed.port
    except ValueError:
        return "a port that is no number up to 65535"
    parts = [urllib.parse.unquote(part) for part in parsed.path.split("/") if part]
    faults = {
        "an unknown scheme": parsed.scheme not in SCHEMES,
        "no host": not parsed.hostname,
        "port 0": port == 0,
        # exasol-bucketfs builds its URLs without the brackets.
        "an IPv6 address, which exasol-bucketfs can't call (give the host a name)": ":"
        in (parsed.hostname or ""),
        "a query or fragment": bool(parsed.query or parsed.fragment),
        "no BucketFS service and no bucket": not parts,
        "no bucket": len(parts) == 1,
        "'.', '..' or a separator inside a part of the path": any(
            part in (".", "..") or "/" in part or "\n" in part for part in parts
        ),
    }
    return next((fault for fault, holds in faults.items() if holds), "")
