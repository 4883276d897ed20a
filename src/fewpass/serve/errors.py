"""Errors in the shape of OpenAI's API: `{"error": {"message", "type", "param", "code"}}`."""

import json
from collections.abc import Mapping
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from starlette.exceptions import HTTPException

from fewpass.core.messages import meant, shown
from fewpass.engine.options import InvalidOption
from fewpass.serve.schema import ErrorBody, ErrorDetail, GenerationRequest

SHOWN = 100  # characters of an offending value in a message


class ApiError(Exception):
    """An error answer. `param` is the field at fault."""

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
        """The error as JSON."""
        kind = "server_error" if self.status >= 500 else "invalid_request_error"
        kind = "rate_limit_error" if self.status == 429 else kind
        return ErrorBody(error=ErrorDetail(message=str(self), type=kind, param=self.param, code=self.code)).model_dump()

    @property
    def response(self) -> Response:
        """The error as an answer."""
        return JSONResponse(self.body, self.status, headers=self.headers)

    @property
    def event(self) -> str:
        """The error as a server-sent event, for a stream that has begun."""
        return f"event: error\ndata: {json.dumps(self.body)}\n\n"


def install(app: FastAPI) -> None:
    """Give every error of `app` this shape."""
    for kind in (ApiError, InvalidOption, RequestValidationError, HTTPException, Exception):
        app.add_exception_handler(kind, lambda request, error: _as_answer(request, error).response)


def _as_answer(request: Request, error: Exception) -> ApiError:
    match error:
        case ApiError():
            return error
        case InvalidOption():
            return ApiError(400, str(error), param=error.option, code="invalid_value")
        case RequestValidationError():
            return _malformed(error.errors()[0])
        case HTTPException():
            return _http(request, error)
    return ApiError(500, "the server failed; see its log")


def _malformed(first: Mapping[str, Any]) -> ApiError:
    """The first error that pydantic has found in a body."""
    kind, param = first["type"], ".".join(str(part) for part in first["loc"] if part != "body")[:SHOWN]
    if kind == "json_invalid":
        return ApiError(400, "the body is not JSON", code="invalid_json")
    if not param:
        return ApiError(400, "the body must be a JSON object, sent as application/json", code="invalid_body")
    if kind == "missing":
        return ApiError(400, f"{param} is missing", param=param, code="missing_required_parameter")
    if kind == "extra_forbidden":
        near = meant(param, GenerationRequest.model_fields)
        return ApiError(400, f"there is no parameter {param!r}{near}", param=param, code="unknown_parameter")
    message = f"{param}: {first['msg']}, not {shown(first['input'], SHOWN)}"
    return ApiError(400, message, param=param, code="invalid_value")


def _http(request: Request, error: HTTPException) -> ApiError:
    message, path, code = str(error.detail), shown(request.url.path), None
    if error.status_code == 404:
        message = f"there is no {path} here; see /openapi.json"
    elif error.status_code == 405:
        message = f"{path} takes {(error.headers or {}).get('Allow', 'other methods')}, not {shown(request.method)}"
    elif error.status_code == 400:  # the body's, which FastAPI could not read
        message, code = "the body must be JSON in UTF-8, without endless numbers or depths", "invalid_json"
    return ApiError(error.status_code, message, code=code, headers=error.headers)
