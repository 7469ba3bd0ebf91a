import pytest

from sync.central.errors import CentralError
from sync.central.tokens import Tokens, read_tokens


@pytest.fixture
def write(tmp_path):
    def write(text, mode=0o600):
        path = tmp_path / "tokens"
        path.write_bytes(text.encode() if isinstance(text, str) else text)
        path.chmod(mode)
        return path

    return write


def test_lines_of_gateway_and_token(write):
    tokens = read_tokens(write("# ours\n\nqiyang-01:secret\nother-02:a:b \n", 0o640))
    assert tokens.gateways == ("qiyang-01", "other-02")
    assert tokens.allows("qiyang-01", "secret")
    assert tokens.allows("other-02", "a:b")


@pytest.mark.parametrize(
    ("gateway", "token"),
    [
        ("qiyang-01", ""),
        ("qiyang-01", "Secret"),
        ("qiyang-01", "other"),
        ("nobody", "secret"),
        ("nobody", ""),
    ],
)
def test_any_other_pair_is_not_allowed(gateway, token):
    assert not Tokens({"qiyang-01": "secret", "other-02": "other"}).allows(gateway, token)


@pytest.mark.parametrize("mode", [0o604, 0o644, 0o602, 0o601])
def test_a_file_that_others_may_use_is_refused_with_the_remedy(write, mode):
    path = write("qiyang-01:secret", mode)
    with pytest.raises(CentralError, match=f"run `chmod o= {path}`"):
        read_tokens(path)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "names no gateway"),
        ("# nothing\n", "names no gateway"),
        ("qiyang-01", "tokens:1: write `gateway-id:token`"),
        ("a:1\nqiyang-01:\n", "tokens:2: write"),
        ("a b:1", "tokens:1: write"),
        ("a:1 2", "tokens:1: write"),
        ("a:呼", "tokens:1: write"),
        ("a:1\na:2\n", "tokens:2: gateway a has a token already"),
        (b"\xff\xfe", "cannot be read"),
    ],
)
def test_a_wrong_file_names_the_line_and_never_a_token(write, text, sentence):
    with pytest.raises(CentralError, match=sentence):
        read_tokens(write(text))


def test_a_missing_file(tmp_path):
    with pytest.raises(CentralError, match="cannot be read"):
        read_tokens(tmp_path / "none")
