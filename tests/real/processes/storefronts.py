"""The sellers' pages without any payment, in FastAPI and in Flask: the official middleware goes around them."""

from __future__ import annotations

import json
import logging
import socket
from collections.abc import Iterator
from typing import Any

import shop
import uvicorn
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, StreamingResponse
from flask import Flask, Response
from flask import request as flask_request
from serving import HOST, announce, listen
from werkzeug.serving import WSGIRequestHandler, make_server


def fastapi_pages() -> FastAPI:
    app = FastAPI()
    app.get("/paid")(shop.goods)
    app.get("/choice")(shop.goods)
    app.get("/upfront")(shop.goods)
    app.get("/permit2")(shop.goods)
    for way in ("permit2", "transaction", "choice"):
        app.get(f"/sponsored/{way}")(shop.goods)

    @app.get("/sponsored/upto")
    @app.get("/upto")
    def upto(charge: str) -> JSONResponse:
        return JSONResponse(shop.goods(), headers=_charging(charge))

    @app.get("/upfront/fails")
    def fails(status: int) -> JSONResponse:
        return JSONResponse({"failed": True}, status)

    app.get("/free")(shop.sample)

    @app.post("/paid")
    async def paid(request: Request) -> dict[str, Any]:
        return shop.echo(await request.body(), request.headers.get("content-type"))

    @app.get("/stream")
    def stream() -> StreamingResponse:
        return StreamingResponse(iter(shop.pieces()), media_type="application/octet-stream")

    return app


def flask_pages() -> Flask:
    app = Flask("shop")
    app.get("/paid", endpoint="paid")(shop.goods)
    app.get("/choice", endpoint="choice")(shop.goods)
    app.get("/upfront", endpoint="upfront")(shop.goods)
    app.get("/permit2", endpoint="permit2")(shop.goods)
    for way in ("permit2", "transaction", "choice"):
        app.get(f"/sponsored/{way}", endpoint=f"sponsored {way}")(shop.goods)

    @app.get("/sponsored/upto", endpoint="sponsored upto")
    @app.get("/upto")
    def upto() -> tuple[dict[str, Any], int, dict[str, str]]:
        return shop.goods(), 200, _charging(flask_request.args["charge"])

    @app.get("/upfront/fails")
    def fails() -> tuple[dict[str, Any], int]:
        return {"failed": True}, int(flask_request.args["status"])

    app.get("/free", endpoint="free")(shop.sample)

    @app.post("/paid")
    def echo() -> dict[str, Any]:
        return shop.echo(flask_request.get_data(), flask_request.headers.get("content-type"))

    @app.get("/stream")
    def stream() -> Response:
        pieces: Iterator[bytes] = iter(shop.pieces())
        return Response(pieces, mimetype="application/octet-stream")

    return app


def _charging(amount: str) -> dict[str, str]:
    """The header by which a handler tells the official middleware what to take of a ceiling."""
    return {"Settlement-Overrides": json.dumps({"amount": amount})}


def serve_fastapi(app: FastAPI) -> None:
    listener: socket.socket = listen()
    announce(listener.getsockname()[1])
    config = uvicorn.Config(app, log_level="warning", access_log=False, timeout_keep_alive=60)
    uvicorn.Server(config).run(sockets=[listener])


def serve_flask(app: Any) -> None:
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    WSGIRequestHandler.protocol_version = "HTTP/1.1"  # 1.0, its default, has no chunked answers
    server = make_server(HOST, 0, app, threaded=True)
    announce(server.server_port)
    server.serve_forever()
