from django.urls import path

from . import views

urlpatterns = [
    path("", views.front),
    path("login", views.log_in),
    path("add", views.add),
    path("cart", views.cart),
    path("related", views.related),
    path("logout", views.log_out),
]
