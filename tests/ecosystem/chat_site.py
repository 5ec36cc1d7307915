"""The site of `chat.py`: WebSockets that talk to each other through the channel layer, in one file."""
import os

from django.conf import settings

settings.configure(
    SECRET_KEY="x", ALLOWED_HOSTS=["*"], USE_TZ=True, INSTALLED_APPS=["channels"],
    CHANNEL_LAYERS={"default": {
        "BACKEND": {"core": "channels_redis.core.RedisChannelLayer",
                    "pubsub": "channels_redis.pubsub.RedisPubSubChannelLayer"}[os.environ["CHAT_LAYER"]],
        "CONFIG": {"hosts": ["redis://127.0.0.1:%s/0" % os.environ["RINGDOVE_PORT"]],
                   **({"capacity": 1500, "expiry": 10} if os.environ["CHAT_LAYER"] == "core" else {})}}})

import django  # noqa: E402  (needs the settings)

django.setup()
from channels.generic.websocket import AsyncJsonWebsocketConsumer  # noqa: E402
from channels.routing import ProtocolTypeRouter, URLRouter  # noqa: E402
from django.urls import path  # noqa: E402


class Chat(AsyncJsonWebsocketConsumer):
    async def connect(self):
        self.room = self.scope["url_route"]["kwargs"]["room"]
        await self.channel_layer.group_add(self.room, self.channel_name)
        await self.accept()
        await self.send_json({"joined": self.room, "process": os.getpid()})

    async def disconnect(self, code):
        await self.channel_layer.group_discard(self.room, self.channel_name)

    async def receive_json(self, content):
        await self.channel_layer.group_send(self.room, {"type": "chat.message", "said": content})

    async def chat_message(self, event):
        await self.send_json(event["said"])


application = ProtocolTypeRouter({"websocket": URLRouter([path("ws/<str:room>/", Chat.as_asgi())])})
