"""A user model of a project's own: UUIDs as keys, the address to log in with, no user name, a phone number."""

import uuid

from django.contrib.auth.base_user import AbstractBaseUser
from django.contrib.auth.models import UserManager
from django.db import models


class Person(AbstractBaseUser):
    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    mail = models.EmailField(unique=True)
    mobile = models.CharField(max_length=32, null=True)
    mobile_ok = models.BooleanField(default=False)

    objects = UserManager()

    USERNAME_FIELD = "mail"
    EMAIL_FIELD = "mail"
