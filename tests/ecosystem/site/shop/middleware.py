"""Says in the response when a session reached the SQL database but not the cache: `cached_db` only
logs that. Who gets such a response knows that the cache acknowledged nothing."""
import logging
import threading

STATE = threading.local()


class Failures(logging.Handler):
    def emit(self, record):
        STATE.failed = True


logging.getLogger("django.contrib.sessions").addHandler(Failures())


class TellUnsavedSessions:
    def __init__(self, get_response):
        self.get_response = get_response

    def __call__(self, request):
        STATE.failed = False
        response = self.get_response(request)
        if STATE.failed:
            response["X-Session-Not-Cached"] = "1"
        return response
