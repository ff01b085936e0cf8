"""Parts of ``AdapterConformance``: the base class, a gate before the sandbox, and one file for each promise."""

import pytest

# Before any of them is imported, so that their asserts explain themselves.
pytest.register_assert_rewrite(
    *(
        f"{__name__}.{part}"
        for part in (
            "ahead",
            "base",
            "bodies",
            "crowds",
            "failures",
            "paying",
            "redirects",
            "scopes",
            "secrecy",
            "sign_ins",
            "statements",
            "streams",
        )
    )
)
