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
        ("DB_PASSWD", True),
        ("PGPASSWORD", True),
        ("GITHUBTOKEN", True),
        ("DB_PASS", True),
        ("MYSQL_PW", True),
        ("GITHUB_PAT", True),
        ("GOOGLE_APPLICATION_CREDENTIALS", True),
        ("CLIENT_CREDENTIAL", True),
        ("PROXY_AUTH", True),
        ("AUTH_HEADER", True),
        ("PRIVATE_PEM", True),
        ("POSTGRES_PWD", True),
        ("SSH_PASSPHRASE", True),
        ("api_keys", True),
        ("KEYBOARD_LAYOUT", False),
        ("PWD", False),
        ("OLDPWD", False),
        ("OLD_PWD_COUNT", False),
        ("PATTERN", False),
        ("PYTHONPATH", False),
        ("AUTHOR", False),
        ("XAUTHORITY", False),
        ("PWM_RATE", False),
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


@pytest.mark.parametrize(
    ("url", "public"),
    [
        ("postgresql://me:p@ss@host/db", "postgresql://me:***@host/db"),
        ("postgresql://me:a/b/c@host:5432/db", "postgresql://me:***@host:5432/db"),
        ("http://:only@host/x", "http://:***@host/x"),
        ("see http://a:b@h/x and http://c:d@h/y", "see http://a:***@h/x and http://c:***@h/y"),
        ("http://a:1/x,http://u:p@h/y", "http://a:1/x,http://u:***@h/y"),
        ("http://host:80/a@b", "http://host:80/a@b"),
        ("http://host:80?to=a@b", "http://host:80?to=a@b"),
        ("https://h/d.zip?token=abc&size=3", "https://h/d.zip?token=***&size=3"),
        ("https://h/d?size=3&access_token=abc", "https://h/d?size=3&access_token=***"),
        ("https://h/d?api_key=abc", "https://h/d?api_key=***"),
        ("https://h/d?apikey=abc#x", "https://h/d?apikey=***#x"),
        ("https://h/d?key=abc", "https://h/d?key=***"),
        ("https://b.blob/x?sv=2020&sig=a%2Fb%3D", "https://b.blob/x?sv=2020&sig=***"),
        (
            "s3://b/k?X-Amz-Credential=AK%2F1&X-Amz-Date=1&X-Amz-Signature=ff&X-Amz-Security-Token=t",
            "s3://b/k?X-Amz-Credential=***&X-Amz-Date=1&X-Amz-Signature=***&X-Amz-Security-Token=***",
        ),
        ("https://h/cb#id_token=abc", "https://h/cb#id_token=***"),
        ("https://h/?AWSAccessKeyId=abc", "https://h/?AWSAccessKeyId=***"),
        ("https://h/?monkeys=3&keyboard=us&tokens=5", "https://h/?monkeys=3&keyboard=us&tokens=5"),
        ("https://h/?token=${oc.env:HF_TOKEN}", "https://h/?token=${oc.env:HF_TOKEN}"),
        ("data.key=val tokenizer?token=x", "data.key=val tokenizer?token=x"),
    ],
)
def test_urls_lose_passwords_and_tokens(url: str, public: str) -> None:
    assert redact.text(url) == public
    # What is public stays as it is.
    assert redact.text(public) == public


def test_forms_in_which_a_secret_appears(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DB_PASSWORD", 'p@ss/"wört\n')
    hidden = "${oc.env:DB_PASSWORD}"
    assert redact.text("x://u:p%40ss%2F%22w%C3%B6rt%0A@h") == f"x://u:{hidden}@h"
    assert redact.text(repr({"a": 'p@ss/"wört\n'})) == f"{{'a': '{hidden}'}}"
    assert redact.text('{"a": "p@ss/\\"w\\u00f6rt\\n"}') == f'{{"a": "{hidden}"}}'
    lines = ("-----BEGIN KEY-----", "MIIEvQIBADANBg", "kqhkiG9w0BAQEF", "-----END KEY-----")
    monkeypatch.setenv("SIGNING_KEY", "\n".join(lines))
    assert redact.text("-----BEGIN KEY----- MIIEvQIBADANBg") == "-----BEGIN KEY----- ${oc.env:SIGNING_KEY}"


def test_words_and_paths_under_doubtful_names_are_no_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AUTH_METHOD", "adaptive")
    monkeypatch.setenv("PRIVATE_DATA", "/data/private")
    monkeypatch.setenv("AUTH_HEADER", "Bearer x7Q9kk2p")
    assert redact.text("adaptive /data/private") == "adaptive /data/private"
    assert redact.text("Bearer x7Q9kk2p") == "${oc.env:AUTH_HEADER}"
