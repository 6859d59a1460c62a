"""One vector for each photograph, whose inner products say which show the same things.

VLAD (Jégou et al., "Aggregating local descriptors into a compact image representation", CVPR 2010) with the
normalization within words of Arandjelović and Zisserman ("All about VLAD", CVPR 2013): for each of a few
words, the sum of how a photograph's features differ from it. The words are means of these photographs' own
features, so nothing is fetched from elsewhere.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

Descriptors = npt.NDArray[np.generic]
"""[F, 128] of a photograph's features, of any numbers."""
Vectors = npt.NDArray[np.float32]

WORDS = 64
FEATURES_FOR_WORDS = 40_000
ROUNDS = 12
_BLOCK = 4096


def image_vectors(descriptors_of: Callable[[int], Descriptors], number: int, seed: int) -> Vectors:
    """[N, 64 * 128] of length 1; zero where a photograph has no features.

    Args:
        descriptors_of: those of a photograph by its number, read anew each time.
        number: of photographs.
        seed: of the choice of features that words are made of.
    """
    random = np.random.default_rng(seed)
    share = max(FEATURES_FOR_WORDS // max(number, 1), 16)
    sample = [_sampled(descriptors_of(i), share, random) for i in range(number)]
    features = np.concatenate(sample) if sample else np.zeros((0, 128), np.float32)
    if not len(features):
        return np.zeros((number, 1), np.float32)
    words = means_of(features, WORDS, random)
    return np.stack([_vector(np.asarray(descriptors_of(i), np.float32), words) for i in range(number)])


def means_of(features: Vectors, number: int, random: np.random.Generator) -> Vectors:
    """[K, D] k-means by Lloyd's iterations, K at most the number asked for; begins with random features."""
    words = features[random.permutation(len(features))[:number]].copy()
    for _ in range(ROUNDS):
        nearest = _nearest(features, words)
        for word in range(len(words)):
            if len(members := features[nearest == word]):
                words[word] = members.mean(axis=0)
    return words


def _sampled(descriptors: Descriptors, most: int, random: np.random.Generator) -> Vectors:
    rows = random.permutation(len(descriptors))[:most]
    return np.asarray(descriptors[np.sort(rows)], np.float32)


def _nearest(features: Vectors, words: Vectors) -> npt.NDArray[np.intp]:
    """[F] the word next to each feature; in blocks, for the memory."""
    norms = np.square(words).sum(axis=1)
    return np.concatenate(
        [
            (norms - 2 * features[start : start + _BLOCK] @ words.T).argmin(axis=1)
            for start in range(0, len(features), _BLOCK)
        ]
    )


def _vector(features: Vectors, words: Vectors) -> Vectors:
    vector = np.zeros_like(words)
    if len(features):
        nearest = _nearest(features, words)
        np.add.at(vector, nearest, features - words[nearest])
        vector /= np.linalg.norm(vector, axis=1, keepdims=True).clip(min=1e-12)
        vector /= max(float(np.linalg.norm(vector)), 1e-12)
    return vector.ravel()
