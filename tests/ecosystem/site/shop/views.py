"""What a shop does: people log in, fill a cart that lives in their session, look at pages that come
from the cache, log out."""
from django.contrib.auth import authenticate, login, logout
from django.core.cache import cache
from django.http import HttpResponseForbidden, JsonResponse
from django.views.decorators.cache import cache_page


def state(request):
    return {
        "user": request.user.get_username(),
        "cart": request.session.get("cart", 0),
        "key": request.session.session_key,
    }


def log_in(request):
    user = authenticate(request, username=request.GET["user"], password="secret")
    if user is None:
        return HttpResponseForbidden()
    login(request, user)
    request.session["cart"] = 0
    return JsonResponse(state(request))


def add(request):
    """One more in the cart; the answer says how many. A page of the catalogue comes with it."""
    if not request.user.is_authenticated:
        return HttpResponseForbidden()
    item = int(request.GET["item"])
    page = cache.get_or_set("item_%d" % item, lambda: {"item": item, "text": "about %d " % item * 50}, 300)
    assert page["item"] == item
    request.session["cart"] = request.session.get("cart", 0) + 1
    request.session["last"] = page
    return JsonResponse(state(request))


def cart(request):
    return JsonResponse(state(request))


def related(request):
    """Several keys at once, written and read."""
    first = int(request.GET["item"])
    items = {"related_%d_%d" % (first, i): first * i for i in range(8)}
    found = cache.get_many(items)
    if len(found) < len(items):
        cache.set_many(items, 300)
    assert all(items[k] == v for k, v in found.items())
    return JsonResponse({"found": len(found)})


@cache_page(600)
def front(request):
    return JsonResponse({"front": "page " * 200})


def log_out(request):
    logout(request)
    return JsonResponse({})
