"""Telling others what happened.

`events` says which records are news, `news` reads them, `delivery` makes one call, `courier` all those of one hook, and `outbox` those of every hook.
"""
