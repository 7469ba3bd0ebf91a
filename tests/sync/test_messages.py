import pytest

from sync.messages import EPOCH, GENESIS, NAME, chain

# Made with printf, xxd and sha256sum, that is, without this code.
VECTORS = [
    (GENESIS, 1, b"", "08e00266fff0aacc64974f22a53622a7dc458ac1b5fd446ae7c99a4a99a564e6"),
    (GENESIS, 1, b'{"kind":"test"}', "7462a16bc09d56e7c97b5844d064cec147f5becf150152c678604cd066200bdc"),
    (
        bytes.fromhex("7462a16bc09d56e7c97b5844d064cec147f5becf150152c678604cd066200bdc"),
        2,
        '{"kind":"呼吸"}'.encode(),
        "a13f1f15abea7a99ce6c6549bfec79c4f2637132fdcc91ba06a19ca42d96d132",
    ),
    (
        b"\xff" * 32,
        2**53 + 1,
        b"\x00\xff",
        "195410fed8e181677ac195d98b2d3b2141a8266dd9cca7a3e2bc15f0ec2c753a",
    ),
]


@pytest.mark.parametrize(("before", "seq", "body", "after"), VECTORS)
def test_chain_vectors(before, seq, body, after):
    assert chain(before, seq, body).hex() == after


def test_hashes_chain_from_before_to_after(make_batch):
    batch = make_batch([b"1", b"2", b"3"], first_seq=5, hash_before=b"\x07" * 32)
    assert batch.hashes()[0] == b"\x07" * 32
    assert batch.hashes()[1] == chain(b"\x07" * 32, 5, b"1")
    assert batch.hashes()[3] == batch.hash_after


def test_head_is_a_sound_batch_of_its_own(make_batch):
    batch = make_batch([b"1", b"2", b"3"], first_seq=5)
    head = batch.head(2)
    assert (head.first_seq, head.last_seq, len(head.records)) == (5, 6, 2)
    assert head.hash_after == batch.hashes()[2] == head.hashes()[-1]
    assert batch.head(3) is batch.head(99) is batch


@pytest.mark.parametrize("name", ["qiyang-01", "A", "a.b_c-9", "x" * 64])
def test_names_that_are_safe_in_an_address(name):
    assert NAME.fullmatch(name)


@pytest.mark.parametrize("name", ["", "-a", "a/b", "a b", "..", "a\n", "é", "x" * 65])
def test_names_that_are_not(name):
    assert not NAME.fullmatch(name)


@pytest.mark.parametrize("epoch", ["", "0" * 15, "0" * 17, "ABCDEF0123456789", "0123456789abcdeg"])
def test_epochs_have_sixteen_lower_case_hex_digits(epoch):
    assert EPOCH.fullmatch("0123456789abcdef")
    assert not EPOCH.fullmatch(epoch)
