"""A profile: what one product has in its registers and how it wants to be read."""

from __future__ import annotations

from typing import Any, Self

from pydantic import Field, ModelWrapValidatorHandler, PrivateAttr, ValidationError, model_validator

from drivers.point import Point, Table
from drivers.profile_checks import Parts, findings, with_defaults
from drivers.profile_tables import About, Defaults, Frozen, Identity, Manners, Sentinels, Simulate, Sleep
from drivers.toml_file import Finding, refusal


class Profile(Table):
    """One product. The defaults of the file are already filled into its points."""

    about: About = Field(alias="profile")
    manners: Manners = Field(default=Manners(), alias="link")
    defaults: Defaults = Defaults()
    sentinels: Sentinels = Sentinels()
    points: tuple[Point, ...] = Field(alias="point", strict=False)
    identity: Identity = Identity()
    sleep: Sleep | None = None
    frozen: Frozen | None = None
    simulate: Simulate | None = None

    _name: str = PrivateAttr(default="")

    @property
    def name(self) -> str:
        """Name in the catalogue, as `inverter/huawei-sun2000`; empty for a file outside of one."""
        return self._name

    def named(self, name: str) -> Self:
        """Return the same profile under a name."""
        copy = self.model_copy()
        copy._name = name
        return copy

    def index(self, name: str) -> int:
        """Return the position of the named point; KeyError when there is none."""
        for index, point in enumerate(self.points):
            if point.name == name:
                return index
        raise KeyError(name)

    @model_validator(mode="wrap")
    @classmethod
    def _check_together(cls, data: Any, handler: ModelWrapValidatorHandler[Self]) -> Self:
        # Also when some fields are faulty, what the sound points say about each other is checked, so
        # that one reading of the file tells everything.
        data = with_defaults(data)
        try:
            profile = handler(data)
        except ValidationError as error:
            raise refusal("profile", findings(Parts.sound(data)), error) from None
        found = findings(Parts.sound(data)) if profile.points else [Finding(("point",), "is empty")]
        if found:
            raise refusal("profile", found)
        return profile


def profile_schema() -> dict[str, Any]:
    """Return the JSON Schema of a profile file, for editors."""
    return Profile.model_json_schema(by_alias=True)
