"""The embedded corpus: an invented language whose entropy is known exactly.

A document is a topic and a handful of characters, some with a surname. Its words follow a
first-order Markov chain that depends on the topic; now and then a character is mentioned, and the
word after the name tends to be the one that followed the character's first mention. A bigram table
learns the words; only a model that reads back through the document learns the characters.

    document    end mark (0), title (the topic), moves
    move        a word, or a mention: name, surname if the character has one, attribute

Whatever the writer knows of a document is visible in the tokens so far, so that the probability it
gives to its next token *is* the conditional probability given the document. The mean of its -log
is the entropy floor: no model can expect a lower loss.

Everything that decides a token is integer arithmetic on raw PCG64 words, the one stream that NumPy
keeps frozen: no logarithm or exponential, whose last bit differs between machines, takes part.
Probabilities are multiples of 2**-16 or small fractions, and those same numbers give the floor.

    python -m data.synthetic
"""

import hashlib
import json
import math
import textwrap
from functools import cache
from pathlib import Path

import numpy as np

from data.shards import CORPUS, ROOT, read_shard, write_atomically, write_shard

SEED, EXACT_SEED = 2024, 1729
TRAIN_SHARDS, TRAIN_TOKENS, VAL_TOKENS = 10, 320_000, 100_000
CARD = "corpus.json"

# The vocabulary: end mark, titles, names, function words, content words.
TOPICS, NAMES, FUNCTION_WORDS, CONTENT_WORDS = 2, 48, 16, 61
WORDS = FUNCTION_WORDS + CONTENT_WORDS
FIRST_TITLE = 1
FIRST_NAME = FIRST_TITLE + TOPICS
FIRST_WORD = FIRST_NAME + NAMES
VOCAB_SIZE = FIRST_WORD + WORDS  # 128

ONE = 2**16  # probability 1 in the units of the tables below
SUCCESSORS = 6  # likely next words of a token
COMMON = ONE // 50  # 2%: a word drawn by its frequency alone
MENTION_AFTER_TITLE = ONE * 30 // 100
MENTION_AFTER_FUNCTION_WORD = ONE * 48 // 100
MENTION_AFTER_CONTENT_WORD = ONE * 21 // 100
REPEAT = ONE * 9 // 10  # a character mentioned again keeps its attribute
NEW, OLD = 4, 5  # Chinese restaurant: a new character weighs 4, each mention so far weighs 5
MEDIAN_MOVES, MAX_MOVES = 64, 256


def stream(seed: tuple[int, int], tokens: int) -> tuple[np.ndarray, np.ndarray]:
    """Write documents one after another and cut the text off after `tokens` tokens.

    Returns the ids, (tokens,) uint16, and their surprisals, (tokens,) float64: -log of the exact
    probability given the document so far, in nats; zero for the first token, an end mark. A
    stream of another length is another text, not a longer one.
    """
    count = tokens // 100 + 100  # more than enough: a document has 124 tokens on average
    ids, probability = _Documents(np.random.PCG64(seed), count).write()
    ids, probability = np.insert(ids, 0, 0), np.insert(probability, 0, 1.0)
    assert len(ids) >= tokens
    return ids[:tokens].astype(np.uint16), -np.log(probability[:tokens])


@cache
def transitions() -> np.ndarray:
    """The Markov chain: how often a token is followed by each word, where a word follows.

    Shape (TOPICS, VOCAB_SIZE, VOCAB_SIZE), int64 in units of 2**-16; every row sums to 2**16, and
    only words have entries. All names share a row, in which content words are likely: there are
    fewer bigrams to learn before the characters begin to matter.
    """
    bits = np.random.PCG64(SEED)
    zipf = 2**12 // np.arange(1, WORDS + 1)  # the frequency of a word is inverse to its rank
    common = np.cumsum(zipf)
    # The likely successors of a token are frequent words, and words that chance favours there.
    chance = (_raw(bits, VOCAB_SIZE, WORDS) % 64) ** 5
    content = np.arange(WORDS) >= FUNCTION_WORDS
    chance[FIRST_NAME:FIRST_WORD] = chance[FIRST_NAME] * content
    topical = np.flatnonzero(content)
    topical = topical[topical % 3 > 0]  # two thirds of the content words
    chain = np.zeros((TOPICS, VOCAB_SIZE, VOCAB_SIZE), dtype=np.int64)
    for topic in range(TOPICS):
        frequency = zipf.copy()
        shuffled = np.argsort(_raw(bits, len(topical)), kind="stable")
        frequency[topical] = zipf[topical[shuffled]]
        weight = chance * frequency
        unlikely = np.argsort(-weight, axis=1, kind="stable")[:, SUCCESSORS:]
        np.put_along_axis(weight, unlikely, 0, axis=1)
        likely = np.cumsum(weight, axis=1)
        # Rounding the cumulative sums rather than the entries makes these add up to ONE.
        cumulative = (ONE - COMMON) * likely // likely[:, -1:] + COMMON * common // common[-1]
        chain[topic, :, FIRST_WORD:] = np.diff(cumulative, axis=1, prepend=0)
    chain.setflags(write=False)  # every caller gets the same array
    return chain


@cache
def mention_rate() -> np.ndarray:
    """How often a token is followed by a mention, (VOCAB_SIZE,) int64 in units of 2**-16."""
    rate = np.full(VOCAB_SIZE, MENTION_AFTER_CONTENT_WORD)
    rate[:FIRST_NAME] = MENTION_AFTER_TITLE
    rate[FIRST_WORD : FIRST_WORD + FUNCTION_WORDS] = MENTION_AFTER_FUNCTION_WORD
    return rate


def end_rate(moves: int) -> int:
    """How often a document ends after this many moves, in units of 2**-16.

    The lengths are log-logistic, P(length >= n) = M**2 / (M**2 + n**2) with the median M: like a
    log-normal of sigma 0.8, but in rational numbers.
    """
    if moves == MAX_MOVES:
        return ONE
    return ONE * (2 * moves + 1) // (MEDIAN_MOVES**2 + (moves + 1) ** 2)


def _raw(bits: np.random.PCG64, *shape: int) -> np.ndarray:
    """Uniform integers in [0, 2**63), int64 of the given shape."""
    return (bits.random_raw(math.prod(shape)) >> np.uint64(1)).astype(np.int64).reshape(shape)


class _Documents:
    """Documents written side by side, move by move; `docs` are the indices of those that move."""

    def __init__(self, bits: np.random.PCG64, count: int):
        self.bits = bits
        self.topic = _raw(bits, count) % TOPICS
        shuffle = _raw(bits, count, NAMES)
        self.cast = np.argsort(shuffle, axis=1, kind="stable")  # characters, first come first
        self.surname = FIRST_NAME + _raw(bits, count, NAMES) % NAMES  # (count, NAMES), token
        self.attribute = np.zeros((count, NAMES), dtype=np.int64)  # token
        self.times = np.zeros((count, NAMES), dtype=np.int64)  # how often each was mentioned
        self.history = np.zeros((count, MAX_MOVES), dtype=np.int64)  # who was mentioned, in order
        self.mentions = np.zeros(count, dtype=np.int64)
        self.characters = np.zeros(count, dtype=np.int64)  # how many were mentioned
        self.last = np.zeros(count, dtype=np.int64)  # last token
        rows = np.cumsum(transitions(), axis=-1).reshape(-1, VOCAB_SIZE)
        self.cumulative = (rows + ONE * np.arange(len(rows))[:, None]).ravel()  # ascending
        self.written = []  # (docs, tokens, probabilities), in order of writing

    def write(self) -> tuple[np.ndarray, np.ndarray]:
        """Write all documents, each closed by an end mark.

        Returns (tokens,) int64 ids and (tokens,) float64 probabilities.
        """
        docs = np.arange(len(self.topic))
        self.emit(docs, FIRST_TITLE + self.topic, 1 / TOPICS)
        for moves in range(MAX_MOVES + 1):
            end = end_rate(moves)
            ends = self.draw(docs, ONE) < end
            self.emit(docs[ends], 0, end / ONE)
            docs = docs[~ends]
            rate = mention_rate()[self.last[docs]]
            named = self.draw(docs, ONE) < rate
            p = (ONE - end) / ONE * np.where(named, rate, ONE - rate) / ONE
            self.write_word(docs[~named], p[~named])
            self.write_mention(docs[named], p[named])
        docs, ids, probabilities = (np.concatenate(c) for c in zip(*self.written, strict=True))
        in_order = np.argsort(docs, kind="stable")
        return ids[in_order], probabilities[in_order]

    def write_word(self, docs: np.ndarray, p: np.ndarray) -> None:
        """The next move is a word, which had the probability p (docs,)."""
        word = self.draw_word(docs)
        self.emit(docs, word, p * self.word_probability(docs, word))

    def write_mention(self, docs: np.ndarray, p: np.ndarray) -> None:
        """The next move is a mention, which had the probability p (docs,)."""
        mentions, characters = self.mentions[docs], self.characters[docs]
        weight = NEW + OLD * mentions
        urn = self.draw(docs, weight)
        new = urn < NEW
        # A known character in proportion to its mentions: choose one of the mentions so far.
        known = self.history[docs, (urn - NEW) // OLD]
        who = np.where(new, self.cast[docs, characters], known)
        times = OLD * self.times[docs, who]
        p = p * np.where(new, NEW / (NAMES - characters), times) / weight
        self.emit(docs, FIRST_NAME + who, p)
        self.history[docs, mentions] = who
        self.times[docs, who] += 1
        self.mentions[docs] += 1
        self.characters[docs] += new
        two = who % 3 == 2  # every third character has a surname
        surname = self.surname[docs[two], who[two]]
        self.emit(docs[two], surname, np.where(new[two], 1 / NAMES, 1.0))
        self.write_attribute(docs, who, new)

    def write_attribute(self, docs: np.ndarray, who: np.ndarray, new: np.ndarray) -> None:
        """The word after the name; who and new are (docs,) indices and bools."""
        attribute = self.attribute[docs, who]
        repeat = ~new & (self.draw(docs, ONE) < REPEAT)
        word = np.where(repeat, attribute, self.draw_word(docs))
        p = self.word_probability(docs, word)
        p_known = (REPEAT * (word == attribute) + (ONE - REPEAT) * p) / ONE
        self.emit(docs, word, np.where(new, p, p_known))
        self.attribute[docs[new], who[new]] = word[new]

    def draw(self, docs: np.ndarray, limit: np.ndarray | int) -> np.ndarray:
        """Uniform integers in [0, limit), (docs,); the bias of the remainder is below 2**-46."""
        return _raw(self.bits, len(docs)) % limit

    def draw_word(self, docs: np.ndarray) -> np.ndarray:
        """A word of the chain for each document, (docs,) token ids."""
        row = VOCAB_SIZE * self.topic[docs] + self.last[docs]
        found = np.searchsorted(self.cumulative, ONE * row + self.draw(docs, ONE), side="right")
        return found - VOCAB_SIZE * row

    def word_probability(self, docs: np.ndarray, word: np.ndarray) -> np.ndarray:
        """The chain's probability of a word, given that a word is next: (docs,)."""
        return transitions()[self.topic[docs], self.last[docs], word] / ONE

    def emit(self, docs: np.ndarray, ids: np.ndarray | int, p: np.ndarray | float) -> None:
        """Append one token to each of the documents, which had the probability p."""
        self.last[docs] = ids
        self.written.append(np.broadcast_arrays(docs, ids, p))


def words() -> list[str]:
    """The word for each id: the end mark, TITLES, Names, short function words, longer words."""
    syllables = [consonant + vowel for consonant in "bdfghklmnprstvz" for vowel in "aeiou"]  # 75

    def word(i: int, length: int) -> str:
        # 7 has no divisor in common with 75, so that words of one kind differ in their beginnings.
        return "".join(syllables[(7 * i + 31 * i * k + 22 * k) % 75] for k in range(length))

    titles = [word(i, 3).upper() for i in range(TOPICS)]
    names = [word(i, 2).capitalize() + "nrs"[i % 3] for i in range(NAMES)]
    function_words = [word(i, 1) for i in range(FUNCTION_WORDS)]
    content_words = [word(i, 2) for i in range(CONTENT_WORDS)]
    return ["<|endoftext|>", *titles, *names, *function_words, *content_words]


def render(ids) -> str:
    """Readable text for a sequence of ids below 128: a paragraph per document, lines wrapped."""
    vocabulary = words()
    text = " ".join(vocabulary[i] for i in ids)
    documents = (document.strip() for document in text.split(vocabulary[0]))
    return "\n\n".join(textwrap.fill(document, 88) for document in documents if document)


def generate(
    folder: Path = CORPUS,
    train_shards: int = TRAIN_SHARDS,
    train_tokens: int = TRAIN_TOKENS,
    val_tokens: int = VAL_TOKENS,
) -> dict:
    """Write the corpus into folder, unless it is there already, and return its corpus.json.

    Shard 0 is for validation, shards 1, 2, ... for training; a shard has its own random stream.
    The entropies, in nats per token, are "uniform"; "unigram" and "bigram" as counted in the
    training shards; and "floor", the exact mean surprisal of tokens 1, 2, ... of validation.
    """
    sizes = {"corpus_val_000000.bin": val_tokens}
    sizes |= {f"corpus_train_{i:06d}.bin": train_tokens for i in range(1, train_shards + 1)}
    if card := _read_card(folder, sizes):
        return card
    pairs = np.zeros((VOCAB_SIZE, VOCAB_SIZE), dtype=np.int64)  # [token, next token]
    shards = {}
    for i, (name, size) in enumerate(sizes.items()):
        ids, surprisal = stream((SEED, i), size)
        write_shard(folder / name, ids)
        shards[name] = {"tokens": size, "sha256": _digest(folder / name)}
        if i == 0:
            floor = surprisal[1:].mean()
        else:
            np.add.at(pairs, (ids[:-1], ids[1:]), 1)
    entropies = {
        "uniform": math.log(VOCAB_SIZE),
        "unigram": _entropy(pairs.sum(axis=0)),
        "bigram": _entropy(pairs) - _entropy(pairs.sum(axis=1)),
        "floor": floor,
    }
    card = {name: round(float(nats), 6) for name, nats in entropies.items()}
    card |= {"vocab_size": VOCAB_SIZE, "seed": SEED, "shards": shards}
    # Written last: a folder that has this file is complete.
    write_atomically(folder / CARD, json.dumps(card, indent=2).encode() + b"\n")
    print(f"{folder}: generated {sum(sizes.values()):,} tokens in {len(sizes)} shards")
    return card


def floor(tokens: int = VAL_TOKENS - 1) -> float:
    """The entropy floor of the first `tokens` targets of the validation shard, nats per token.

    No model can expect a lower loss on these tokens, however it is trained. Needs no files.
    """
    return float(stream((SEED, 0), VAL_TOKENS)[1][1 : tokens + 1].mean())


def write_exact(folder: Path = ROOT / "data" / "exact") -> None:
    """For developers: write the two committed token files that the graders' curves rest on."""
    write_shard(folder / "exact_train.bin", stream((EXACT_SEED, 1), 20_000)[0])
    write_shard(folder / "exact_val.bin", stream((EXACT_SEED, 0), 8_000)[0])


def _read_card(folder: Path, sizes: dict[str, int]) -> dict | None:
    """The folder's corpus.json if it belongs to this corpus and every shard is what it says."""
    try:
        card = json.loads((folder / CARD).read_text())
        same = card["seed"] == SEED and list(card["shards"]) == list(sizes)
        whole = all(
            len(read_shard(folder / name)) == size
            and card["shards"][name]["sha256"] == _digest(folder / name)
            for name, size in sizes.items()
        )
    except (OSError, ValueError, KeyError, TypeError):  # missing or damaged, as a ShardError says
        return None
    return card if same and whole else None


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _entropy(counts: np.ndarray) -> float:
    """Plug-in entropy of a table of counts, in nats."""
    p = counts[counts > 0] / counts.sum()
    return float(-(p * np.log(p)).sum())


def main(exact: bool = False) -> None:
    """Generate the embedded corpus and show what it is.

    Args:
        exact: write the graders' committed tokens in data/exact instead.
    """
    if exact:
        write_exact()
        return
    card = generate()
    for name, shard in card["shards"].items():
        print(f"{name}  {shard['tokens']:>7,} tokens  sha256 {shard['sha256'][:16]}")
    for name in ("uniform", "unigram", "bigram", "floor"):
        print(f"{name:>8} {card[name]:.4f} nats/token")
    ids = read_shard(CORPUS / "corpus_val_000000.bin")
    print(f"\n{render(ids[: np.flatnonzero(ids == 0)[2]])}")


if __name__ == "__main__":
    import tyro

    tyro.cli(main)
