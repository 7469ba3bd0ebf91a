"""A certificate authority of the tests, made by the openssl command; nothing of it is kept."""

import subprocess
from pathlib import Path


class Authority:
    """Signs certificates in a folder."""

    def __init__(self, folder: Path, name: str = "authority") -> None:
        self._folder = folder
        self.file = folder / f"{name}.pem"
        self._key = folder / f"{name}.key"
        _openssl(
            *("req", "-x509", *_NEW_KEY, "-keyout", self._key, "-out", self.file),
            *("-days", "10", "-subj", f"/CN=huxi test {name}"),
        )

    def certificate(self, name: str, *, address: str = "IP:127.0.0.1", days: int = 10) -> Path:
        """PEM file with key and certificate; already expired with negative `days`."""
        key, request, signed = (self._folder / f"{name}.{end}" for end in ("key", "csr", "crt"))
        names = self._folder / f"{name}.ext"
        names.write_text(f"subjectAltName={address}")
        _openssl("req", *_NEW_KEY, "-keyout", key, "-out", request, "-subj", f"/CN={name}")
        _openssl(
            *("x509", "-req", "-in", request, "-CA", self.file, "-CAkey", self._key, "-CAcreateserial"),
            *("-days", str(days), "-extfile", names, "-out", signed),
        )
        whole = self._folder / f"{name}.pem"
        whole.write_text(key.read_text() + signed.read_text())
        return whole


_NEW_KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")


def _openssl(*arguments: object) -> None:
    subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True, timeout=30)
