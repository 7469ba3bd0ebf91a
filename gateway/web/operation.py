"""One operation of the API as a value: the route and its documentation are made from the same one."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from gateway.web.errors import BadQuery


class Query(BaseModel):
    """The parameters of an operation, none here; each field's description names its bounds."""

    model_config = ConfigDict(extra="forbid")


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """What can be asked, and what comes back."""

    path: str
    """Path of the route."""
    summary: str
    """One line for the documentation."""
    handler: Callable[[Any], Awaitable[Mapping[str, Any] | Response]]
    """Takes the checked query; gives the answer, or a response of its own when it streams."""
    answer: type[BaseModel] | None = None
    """Model of the JSON answer; None for a stream."""
    streams: tuple[str, ...] = ()
    """Media types of a stream."""
    query: type[Query] = Query
    """Model of the parameters."""
    method: Literal["GET", "POST"] = "GET"
    """POST changes something and goes through the Unix socket only."""

    def route(self) -> Route:
        """The Starlette route that checks the query, asks the handler and holds the answer to its model."""

        async def endpoint(request: Request) -> Response:
            answer = await self.handler(self._read_query(request))
            if self.answer is None or isinstance(answer, Response):
                assert isinstance(answer, Response), "a stream makes its own response"
                return answer
            body = self.answer.model_validate(answer).model_dump_json(by_alias=True)
            return Response(body, media_type="application/json", headers={"cache-control": "no-store"})

        return Route(self.path, endpoint, methods=[self.method])

    def _read_query(self, request: Request) -> Query:
        try:
            return self.query.model_validate(dict(request.query_params))
        except ValidationError as error:
            raise self._bad_query(error) from error

    def _bad_query(self, error: ValidationError) -> BadQuery:
        """One clear sentence of the first fault."""
        first = error.errors(include_url=False, include_context=False)[0]
        name = str(first["loc"][0])
        fields = {field.alias or key: field for key, field in self.query.model_fields.items()}
        if first["type"] == "extra_forbidden":
            known = ", ".join(fields)
            return BadQuery(
                f"{self.path} has no parameter {name[:40]!r}",
                f"it knows: {known}" if known else "it takes none",
            )
        what = "is missing" if first["type"] == "missing" else f"cannot be {str(first['input'])[:40]!r}"
        return BadQuery(f"the parameter {name!r} of {self.path} {what}", f"{fields[name].description}")
