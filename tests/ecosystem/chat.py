"""A chat: Django Channels behind two server processes (Daphne, or uvicorn where it is installed) and
real WebSocket clients. Everybody in a room hears everything that is said there, in each speaker's
order, whichever process he is connected to; and after the server was killed the chat goes on.
"""
import asyncio
import importlib.util
import itertools
import json
import sys
import time

import channels
import channels_redis
import redis
import websockets

from server import Child, Traffic, children, eventually, free_port, main_on_servers, same

ROOMS, VISITORS, WORDS = 3, 4, 5
NUMBERS = itertools.count()
WEB = "uvicorn" if importlib.util.find_spec("uvicorn") else "daphne"


class Web(Child):
    """A process that serves the site."""

    def __init__(self, server, layer):
        self.port = free_port()
        words = ["chat_site:application", "--host", "127.0.0.1", "--port", str(self.port)] if WEB == "uvicorn" else [
            "-b", "127.0.0.1", "-p", str(self.port), "chat_site:application"]
        super().__init__(sys.executable, "-m", WEB, *words, RINGDOVE_PORT=str(server.port), CHAT_LAYER=layer)


async def join(web, room):
    """A WebSocket in a room; waits until the site is there."""
    end = time.monotonic() + 60
    while True:
        try:
            ws = await websockets.connect("ws://127.0.0.1:%d/ws/%s/" % (web.port, room), open_timeout=20)
            hello = json.loads(await asyncio.wait_for(ws.recv(), 20))
            same(hello["joined"], room)
            return ws
        except (OSError, asyncio.TimeoutError, websockets.exceptions.WebSocketException):
            assert time.monotonic() < end and web.process.poll() is None, "the site does not answer"
            await asyncio.sleep(0.05)


async def talk(webs, seconds):
    # Rooms of their own: what was said in an earlier, broken chat may still be on its way.
    rooms = ["room-%d" % next(NUMBERS) for n in range(ROOMS)]
    people = [(room, who, await join(webs[who % len(webs)], room)) for room in rooms for who in range(VISITORS)]

    async def speak(who, ws):
        for n in range(WORDS):
            await ws.send(json.dumps({"who": who, "n": n}))

    async def listen(room, ws):
        heard = {}
        for _ in range(VISITORS * WORDS):
            said = json.loads(await asyncio.wait_for(ws.recv(), seconds))
            heard.setdefault(said["who"], []).append(said["n"])
        same(heard, {"%s/%d" % (room, who): list(range(WORDS)) for who in range(VISITORS)})

    await asyncio.gather(*[speak("%s/%d" % (room, who), ws) for room, who, ws in people],
                         *[listen(room, ws) for room, _, ws in people])
    return [ws for _, _, ws in people]


def chat(server):
    for layer in ("core", "pubsub"):
        with children() as webs:
            webs += [Web(server, layer) for _ in range(2)]
            with Traffic(server) as traffic:
                same(asyncio.run(talk_and_leave(webs)), ROOMS * VISITORS)
            traffic.had(*(("EVAL", "BZPOPMIN", "ZADD") if layer == "core" else ("SUBSCRIBE", "PUBLISH")))
            server.kill()
            server.start()
            # Connections that the site had before fail once.
            eventually(lambda: talks(webs), "a chat after the server's restart", 60)


async def talk_and_leave(webs, seconds=30):
    sockets = await talk(webs, seconds)
    await asyncio.gather(*[ws.close() for ws in sockets])
    return len(sockets)


def talks(webs):
    try:
        return asyncio.run(talk_and_leave(webs, 3))
    except (OSError, asyncio.TimeoutError, websockets.exceptions.WebSocketException):
        return 0


if __name__ == "__main__":
    print("channels %s, channels_redis %s, redis-py %s, %s, websockets %s" % (
        channels.__version__, channels_redis.__version__, redis.__version__, WEB, websockets.__version__))
    main_on_servers(chat)
