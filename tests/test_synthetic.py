"""The embedded corpus: the same everywhere, and its floor recomputed by other means."""

import hashlib
import math
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import numpy as np
import pytest

from data import synthetic
from data.shards import ROOT, read_shard

CHAIN = (synthetic.transitions() / 2**16).tolist()  # [topic][token][next word]
SMALL = {"train_shards": 2, "train_tokens": 20_000, "val_tokens": 5_000}


def next_token(document: list[int]) -> list[float]:
    """Distribution of the next token, (128,), from the visible tokens of a document alone.

    Written independently of the generator: it reads the document (title, moves) from its start.
    Ids: 0 end, 1-2 titles, 3-50 names, 51-66 function words, 67-127 content words.
    """
    p = [0.0] * 128
    if not document:
        p[1] = p[2] = 0.5
        return p
    words = CHAIN[document[0] - 1][document[-1]]
    rest, moves = document[1:], 0
    mentions, surnames, attributes = [], {}, {}
    while rest:
        moves += 1
        name = rest.pop(0)
        if name > 50:
            continue
        mentions.append(name)
        if (name - 3) % 3 == 2:
            if not rest:  # a surname is next
                for surname in [surnames[name]] if name in surnames else range(3, 51):
                    p[surname] = 1.0 if name in surnames else 1 / 48
                return p
            surnames[name] = rest.pop(0)
        if not rest:  # an attribute is next
            if name not in attributes:
                return words
            repeat = 58982 / 65536  # 0.9
            p = [(1 - repeat) * word for word in words]
            p[attributes[name]] += repeat
            return p
        attributes.setdefault(name, rest.pop(0))
    return next_move(document[-1], words, mentions, moves)


def next_move(last: int, words: list[float], mentions: list[int], moves: int) -> list[float]:
    """Distribution of the next token, (128,), where a move has just ended."""
    p = [0.0] * 128
    hazard = int(65536 * (1 - (64**2 + moves**2) / (64**2 + (moves + 1) ** 2))) / 65536
    p[0] = hazard if moves < 256 else 1.0
    kind = 0.30 if last < 3 else 0.48 if last < 67 else 0.21
    mention = int(kind * 65536) / 65536
    for word in range(51, 128):
        p[word] = (1 - p[0]) * (1 - mention) * words[word]
    for name in range(3, 51):
        new = 0.8 / (48 - len(set(mentions)))
        weight = mentions.count(name) or new
        p[name] = (1 - p[0]) * mention * weight / (len(mentions) + 0.8)
    return p


def test_surprisal_equals_an_independent_computation():
    ids, surprisal = synthetic.stream((7, 7), 6_000)
    document, excess = None, []
    for i, token in enumerate(ids.tolist()):
        if document is not None:
            p = next_token(document)
            assert math.isclose(math.fsum(p), 1, abs_tol=1e-12)
            assert math.isclose(-math.log(p[token]), surprisal[i], abs_tol=1e-9)
            entropy = -math.fsum(q * math.log(q) for q in p if q)
            excess.append(surprisal[i] - entropy)
            document.append(token)
        if token == 0:
            document = []
    # The writer draws what it says: surprisal exceeds entropy only by chance.
    assert abs(np.mean(excess)) < 4 * np.std(excess) / math.sqrt(len(excess))


def test_words_are_drawn_in_exactly_their_shares():
    writer = synthetic._Documents(np.random.PCG64(0), 1)
    docs = np.arange(2**16)
    writer.draw = lambda docs, limit: docs  # each of the 2**16 draws once
    for topic, last in ((0, 1), (0, 127), (1, 0), (1, 60)):
        writer.topic, writer.last = np.full(2**16, topic), np.full(2**16, last)
        shares = np.bincount(writer.draw_word(docs), minlength=128)
        np.testing.assert_array_equal(shares, synthetic.transitions()[topic, last])


def test_characters_are_drawn_in_exactly_their_shares():
    docs = np.arange(4 + 5 * 3)
    writer = synthetic._Documents(np.random.PCG64(0), len(docs))
    writer.draw = lambda docs, limit: docs % limit  # each of the 19 draws once
    writer.history[:, :3] = [30, 30, 7]
    writer.times[:, 30], writer.times[:, 7] = 2, 1
    writer.mentions[:], writer.characters[:] = 3, 2
    writer.cast[:, 2] = 12
    writer.write_mention(docs, np.ones(len(docs)))
    _, ids, p = writer.written[0]
    assert sorted(ids.tolist()) == [3 + 7] * 5 + [3 + 12] * 4 + [3 + 30] * 10
    shares = {3 + 7: 5 / 19, 3 + 12: 4 / 19 / 46, 3 + 30: 10 / 19}
    np.testing.assert_allclose(p, [shares[i] for i in ids.tolist()], rtol=1e-15)


def test_transitions():
    chain = synthetic.transitions()
    assert (chain.sum(axis=-1) == 2**16).all()
    assert (chain[..., :51] == 0).all() and (chain[..., 51:] > 0).all()
    assert ((chain > 0.02 * 2**16).sum(axis=-1) <= 6 + 1).all()  # a common word has 0.4% by itself
    with pytest.raises(ValueError, match="read-only"):
        chain[0, 0, 0] = 1


def test_lengths():
    survival = 1.0
    for moves in range(64):
        survival *= 1 - synthetic.end_rate(moves) / 2**16
    assert survival == pytest.approx(0.5, abs=0.001)  # the median
    assert synthetic.end_rate(256) == 2**16


def test_the_corpus_is_the_same_everywhere():
    """If this fails, every curve on the corpus is void: mend the generator, not the pins."""
    digests = {
        (2024, 0, 100_000): "c64de165bd0d614b2e0e364b326d6b602d63c4e96c093ca1df713a1747c5ed96",
        (2024, 1, 320_000): "eb53bb0ad05681ba4746a532bf79ea4bba1c4adacffde848ecf976860c5618e5",
    }
    for (seed, i, tokens), digest in digests.items():
        ids, _ = synthetic.stream((seed, i), tokens)
        assert hashlib.sha256(ids.astype("<u2").tobytes()).hexdigest() == digest
    assert synthetic.floor() == pytest.approx(1.6399558, abs=1e-6)


def test_generate(tmp_path, capsys):
    card = synthetic.generate(tmp_path, **SMALL)
    assert capsys.readouterr().out.count("\n") == 1
    names = ["corpus_val_000000.bin", "corpus_train_000001.bin", "corpus_train_000002.bin"]
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([*names, "corpus.json"])
    assert [len(read_shard(tmp_path / name)) for name in names] == [5_000, 20_000, 20_000]
    for name in names:
        data = (tmp_path / name).read_bytes()
        assert hashlib.sha256(data).hexdigest() == card["shards"][name]["sha256"]
        tokens = read_shard(tmp_path / name)
        assert tokens[0] == 0 and tokens.max() < card["vocab_size"] == 128
    assert card["uniform"] > card["unigram"] > card["bigram"] > card["floor"] > 1
    _, surprisal = synthetic.stream((2024, 0), 5_000)
    assert card["floor"] == pytest.approx(surprisal[1:].mean(), abs=1e-6)


@pytest.mark.parametrize(
    "damage",
    ["none", "shard cut", "shard lost", "shard altered", "card lost", "card cut", "card altered"],
)
def test_generate_repairs_what_is_damaged_and_nothing_else(tmp_path, damage):
    shard, card = tmp_path / "corpus_train_000002.bin", tmp_path / "corpus.json"
    first = synthetic.generate(tmp_path, **SMALL)
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    written = card.stat().st_mtime_ns
    path = shard if "shard" in damage else card
    if "cut" in damage:
        path.write_bytes(before[path][:-10])
    elif "altered" in damage:
        path.write_bytes(b"[]" if path is card else before[path][:-2] + b"\x07\x00")
    elif "lost" in damage:
        path.unlink()
    assert synthetic.generate(tmp_path, **SMALL) == first
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before
    assert (card.stat().st_mtime_ns == written) == (damage == "none")


def test_two_may_generate_at_once(tmp_path):
    with ThreadPoolExecutor(2) as pool:
        jobs = [pool.submit(partial(synthetic.generate, tmp_path, **SMALL)) for _ in range(2)]
    assert jobs[0].result() == jobs[1].result()
    assert len(list(tmp_path.iterdir())) == 4


def test_the_committed_tokens_are_what_the_generator_writes(tmp_path):
    synthetic.write_exact(tmp_path)
    for name, tokens in (("exact_train.bin", 20_000), ("exact_val.bin", 8_000)):
        committed = ROOT / "data" / "exact" / name
        assert committed.read_bytes() == (tmp_path / name).read_bytes()
        assert len(read_shard(committed)) == tokens


def test_words():
    words = synthetic.words()
    assert len(set(words)) == len(words) == 128
    assert words[0] == "<|endoftext|>"
    assert all(word.isupper() for word in words[1:3])
    assert all(word.istitle() for word in words[3:51])
    assert all(word.islower() for word in words[51:])


def test_render():
    words = synthetic.words()
    ids = np.array([0, 1, 60, 3, 0, 2, 127], dtype=np.uint16)
    assert synthetic.render(ids) == f"{words[1]} {words[60]} {words[3]}\n\n{words[2]} {words[127]}"
    assert synthetic.render([60, 61]) == f"{words[60]} {words[61]}"  # a piece of a document
