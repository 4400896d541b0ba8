"""Runs programs nobody trusts: a root directory, processes, users and a network of their own.

Nothing here knows of images or of AWS.
"""
