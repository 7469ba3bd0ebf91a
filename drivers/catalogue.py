"""The profiles there are: the shipped folder and the site's own."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from drivers.errors import ProfileError
from drivers.faults import Fault
from drivers.profile import Profile
from drivers.toml_file import did_you_mean, line_of, read_toml


def shipped() -> Path:
    """Return the folder of the profiles that come with huxi."""
    return Path(__file__).parent / "profiles"


class Catalogue:
    """Profiles by name, `<kind>/<make>-<model>`, in several folders; a later folder wins."""

    def __init__(self, folders: Sequence[Path]) -> None:
        """Take the folders, shipped one first; ProfileError when one of them does not exist."""
        faults = [
            Fault(file=str(folder), line=0, key="", message="is not a folder", hint="create it or drop it")
            for folder in folders
            if not folder.is_dir()
        ]
        if faults:
            raise ProfileError(faults)
        self._folders = tuple(folders)

    def names(self) -> list[str]:
        """Return the names of all profiles, sorted."""
        return sorted(self._paths())

    def load(self, name: str) -> Profile:
        """Return the named profile; ProfileError with every fault of its file, or for an unknown name."""
        path = self._path(name)
        profile, faults = read_toml(path, Profile)
        if profile is None:
            raise ProfileError(faults)
        if profile.about.kind != path.parent.name:
            line = line_of(path.read_text(encoding="utf-8-sig"), ("profile", "kind"))
            message = f"'{profile.about.kind}' stands in folder '{path.parent.name}'"
            hint = f"move the file to {profile.about.kind}/ or correct the kind"
            raise ProfileError([Fault(file=str(path), line=line, key="profile.kind", message=message, hint=hint)])
        return profile.named(name)

    def text(self, name: str) -> str:
        """Return the file of the named profile; ProfileError for an unknown name."""
        return self._path(name).read_text(encoding="utf-8-sig")

    def _path(self, name: str) -> Path:
        paths = self._paths()
        if name not in paths:
            raise ProfileError(
                [
                    Fault(
                        file=", ".join(str(folder) for folder in self._folders),
                        line=0,
                        key="",
                        message=f"there is no profile '{name}'",
                        hint=did_you_mean(name, paths),
                    )
                ]
            )
        return paths[name]

    def _paths(self) -> dict[str, Path]:
        return {
            f"{path.parent.name}/{path.stem}": path
            for folder in self._folders
            for path in sorted(folder.glob("*/*.toml"))
        }
