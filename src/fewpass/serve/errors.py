"""Errors as OpenAI's clients know them: `{"error": {"message", "type", "param", "code"}}`."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from pydantic import BaseModel
from starlette.exceptions import HTTPException

from fewpass.core.messages import meant, shown
from fewpass.serve.schema import GenerationRequest

SHOWN = 100  # characters of an offending value that are repeated


class ErrorDetail(BaseModel):
    message: str
    type: str
    param: str | None = None
    code: str | None = None


class ErrorBody(BaseModel):
    error: ErrorDetail


class ApiError(Exception):
    """An answer other than the one asked for. `param` is the field at fault."""

    def __init__(
        self,
        status: int,
        message: str,
        *,
        param: str | None = None,
        code: str | None = None,
        headers: Mapping[str, str] | None = None,
    ):
        super().__init__(message)
        self.status, self.param, self.code, self.headers = status, param, code, headers

    @property
    def body(self) -> dict[str, Any]:
        """As JSON."""
        kind = (
            "rate_limit_error"
            if self.status == 429
            else "server_error"
            if self.status >= 500
            else "invalid_request_error"
        )
        return ErrorBody(error=ErrorDetail(message=str(self), type=kind, param=self.param, code=self.code)).model_dump()

    @property
    def response(self) -> Response:
        return JSONResponse(self.body, self.status, headers=self.headers)

    @property
    def event(self) -> str:
        """For a stream that has begun."""
        return f"event: error\ndata: {json.dumps(self.body)}\n\n"


@contextmanager
def naming(param: str) -> Iterator[None]:
    """A ValueError inside is the client's, about this field."""
    try:
        yield
    except ValueError as error:
        raise ApiError(400, str(error), param=param, code="invalid_value") from None


def install(app: FastAPI) -> None:
    """Let every error of `app` have this shape."""
    app.add_exception_handler(ApiError, _own)
    app.add_exception_handler(RequestValidationError, _malformed)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(Exception, _unexpected)


def _own(request: Request, error: Exception) -> Response:
    assert isinstance(error, ApiError)
    return error.response


def _malformed(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0]
    if first["type"] == "json_invalid":
        return ApiError(400, "the body is not JSON", code="invalid_json").response
    names = [str(part) for part in first["loc"] if part != "body"]
    if not names:
        return ApiError(400, "the body must be a JSON object, sent as application/json", code="invalid_body").response
    param, message = ".".join(names)[:SHOWN], first["msg"]
    if first["type"] == "missing":
        return ApiError(400, f"{param} is missing", param=param, code="missing_required_parameter").response
    if first["type"] == "extra_forbidden":
        near = meant(param, GenerationRequest.model_fields)
        return ApiError(400, f"there is no parameter {param!r}{near}", param=param, code="unknown_parameter").response
    return ApiError(
        400, f"{param}: {message}, not {shown(first['input'], SHOWN)}", param=param, code="invalid_value"
    ).response


def _http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    message, path, code = str(error.detail), shown(request.url.path), None
    if error.status_code == 404:
        message = f"there is no {path} here; /openapi.json says what there is"
    elif error.status_code == 405:
        message = f"{path} takes {(error.headers or {}).get('Allow', 'other methods')}, not {shown(request.method)}"
    elif error.status_code == 400:  # the body's, which FastAPI could not read
        message, code = "the body must be JSON in UTF-8, without endless numbers or depths", "invalid_json"
    return ApiError(error.status_code, message, code=code, headers=error.headers).response


def _unexpected(request: Request, error: Exception) -> Response:
    return ApiError(500, "the server failed; its log says how").response
