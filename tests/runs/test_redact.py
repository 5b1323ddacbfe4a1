import pytest

from dlctl import redact


@pytest.mark.parametrize(
    ("name", "secret"),
    [
        ("WANDB_API_KEY", True),
        ("HF_TOKEN", True),
        ("AWS_SECRET_ACCESS_KEY", True),
        ("DB_PASSWORD", True),
        ("COMET_APIKEY", True),
        ("KEYBOARD_LAYOUT", False),
        ("TOKENIZERS_PARALLELISM", False),
        ("PATH", False),
    ],
)
def test_names_of_secrets(name: str, secret: bool) -> None:
    assert redact.is_secret_name(name) is secret


def test_values_become_interpolations_again_and_urls_lose_their_passwords(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("MY_TOKEN", "0123456789")
    monkeypatch.setenv("SHORT_TOKEN", "train")
    assert redact.text("key=0123456789 train") == "key=${oc.env:MY_TOKEN} train"
    assert redact.text("http://me:secret@host:80/p") == "http://me:***@host:80/p"
    assert redact.text("http://me:${oc.env:X}@host") == "http://me:${oc.env:X}@host"
    assert redact.text("http://host:80/a@b") == "http://host:80/a@b"
    assert redact.tree({"a": ["0123456789", 1, None]}) == {"a": ["${oc.env:MY_TOKEN}", 1, None]}
