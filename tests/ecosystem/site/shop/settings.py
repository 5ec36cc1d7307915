"""A site as its owners configure it: cache in database 1, sessions in database 2.

RINGDOVE_PORT says where the server is, SITE_DIR where the SQL database lies, CACHE_BACKEND is
`django_redis` or `builtin`, SESSION_ENGINE is `cache` or `cached_db`.
"""
import os

REDIS = "redis://127.0.0.1:" + os.environ["RINGDOVE_PORT"]
ENGINE = os.environ["SESSION_ENGINE"]

SECRET_KEY = "a-site-under-test"
DEBUG = False
ALLOWED_HOSTS = ["127.0.0.1"]
ROOT_URLCONF = "shop.urls"
WSGI_APPLICATION = "shop.wsgi.application"
USE_TZ = True
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
# The test is about sessions, not about hashing.
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]

INSTALLED_APPS = ["django.contrib.auth", "django.contrib.contenttypes", "django.contrib.sessions"]
MIDDLEWARE = [
    "shop.middleware.TellUnsavedSessions",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
]

DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": os.path.join(os.environ["SITE_DIR"], "site.sqlite3"),
        "OPTIONS": {"timeout": 30},
    }
}

if os.environ["CACHE_BACKEND"] == "django_redis":
    CACHES = {
        "default": {
            "BACKEND": "django_redis.cache.RedisCache",
            "LOCATION": REDIS + "/1",
            "OPTIONS": {
                "CLIENT_CLASS": "django_redis.client.DefaultClient",
                "CONNECTION_POOL_KWARGS": {
                    "max_connections": 50,
                    "retry_on_timeout": True,
                    "health_check_interval": 30,
                },
                "PARSER": "redis.connection.HiredisParser",
                "COMPRESSOR": "django_redis.compressors.zlib.ZlibCompressor",
                "SOCKET_CONNECT_TIMEOUT": 5,
                "SOCKET_TIMEOUT": 5,
                "IGNORE_EXCEPTIONS": False,
            },
            "TIMEOUT": 900,
            "VERSION": 1,
            "KEY_PREFIX": "app",
        },
        "sessions": {
            "BACKEND": "django_redis.cache.RedisCache",
            "LOCATION": REDIS + "/2",
            "OPTIONS": {"CLIENT_CLASS": "django_redis.client.DefaultClient"},
        },
    }
else:
    CACHES = {
        "default": {
            "BACKEND": "django.core.cache.backends.redis.RedisCache",
            "LOCATION": REDIS + "/1",
            "KEY_PREFIX": "finory_cache",
            "TIMEOUT": 300,
        },
        "sessions": {
            "BACKEND": "django.core.cache.backends.redis.RedisCache",
            "LOCATION": REDIS + "/2",
            "KEY_PREFIX": "finory_session",
        },
    }

SESSION_ENGINE = "django.contrib.sessions.backends." + ENGINE
SESSION_CACHE_ALIAS = "sessions"
SESSION_COOKIE_AGE = 86400
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
SESSION_SAVE_EVERY_REQUEST = False
SESSION_EXPIRE_AT_BROWSER_CLOSE = False
CACHE_MIDDLEWARE_KEY_PREFIX = "portfolio_app"
CACHE_MIDDLEWARE_SECONDS = 600
