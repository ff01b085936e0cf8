"""Facilitators' lists: read page by page, tidy or not, and judged by the policy."""
