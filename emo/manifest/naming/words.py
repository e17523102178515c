"""Words by which names are recognised: emotions, speakers, and numberings that are no speakers."""

import re
from collections import Counter
from collections.abc import Callable, Iterable

from emo.manifest.spelling import plain

_EMOTIONS = """
anger angry ang ane rage furious wut ärger aerger wütend wuetend enojo ira colère colere rabbia
raiva happiness happy hap joy joyful joyous glad freude fröhlich froehlich glücklich gluecklich
alegría alegria feliz felicidad joie heureux gioia felicidade sadness sad sorrow sorrowful trauer
traurig tristeza triste tristesse tristezza fear fearful fea scared afraid anxious anxiety angst
ängstlich aengstlich furcht miedo peur paura medo disgust disgusted dis ekel asco dégoût degout
disgusto nojo surprise surprised sur pleasantsurprise pleasantsurprised ps überraschung
ueberraschung sorpresa surpresa neutral neutrality neu neutro neutre normal calm calmness ruhig
calma calme contempt contemptuous verachtung boredom bored boring langeweile gelangweilt excitement
excited exc frustration frustrated fru amusement amused pride proud shame ashamed guilt guilty love
loving relief relieved hope hopeful envy jealousy confusion confused interest interested pain tired
sleepy stress stressed laughter laughing crying positive negative pos neg
生气 愤怒 高兴 快乐 开心 悲伤 伤心 难过 害怕 恐惧 厌恶 惊讶 惊喜 中性 平静
분노 기쁨 행복 슬픔 공포 두려움 혐오 놀람 중립 怒り 喜び 悲しみ 恐れ 嫌悪 驚き
злость гнев радость грусть печаль страх отвращение удивление нейтральный
"""
_SPEAKERS_TEXT = """
actor actress speaker spk spkr subject subj sub participant person patient user talker singer
proband vp sprecher sprecherin locuteur hablante
"""
_NUMBERINGS_TEXT = """
clip take utt utterance sentence sent statement rep repetition session ses video vid scene
part file sample seg segment rec recording turn dia dialogue dialog trial chunk frame img
image audio wav track line day week month year block round run experiment
"""
_KINDS_TEXT = """
audio audios video videos clip clips wav wavs mp4 flac sound sounds speech media files frames
left right front side m f w male female man woman
"""
_WORDS = frozenset(plain(word) for word in _EMOTIONS.split())
_SPEAKERS = frozenset(_SPEAKERS_TEXT.split())
_NUMBERINGS = frozenset(_NUMBERINGS_TEXT.split())
_KINDS = frozenset(_KINDS_TEXT.split())
_NUMBERED = re.compile(r"(\D*?)[ _.-]*(\d+)")


def are_emotions(values: Iterable[str]) -> bool:
    """Return whether at least half of the distinct names are words for emotions.

    >>> are_emotions(["Happy", "sad", "Pleasant_Surprise"]), are_emotions(["anna", "ben"])
    (True, False)
    """
    distinct = set(values)
    known = sum(plain(re.sub(r"[_-]", "", name)) in _WORDS for name in distinct)
    return bool(distinct) and 2 * known >= len(distinct)


def are_speakers(values: Iterable[str]) -> bool:
    """Return whether names are a word for a speaker and a number: ``actor_01``, ``spk3``."""
    return _most(values, lambda stem: stem in _SPEAKERS)


def are_numberings(values: Iterable[str]) -> bool:
    """Return whether names number takes, sessions and the like, or are kinds of files or people.

    >>> are_numberings(["take1", "take2"]), are_numberings(["audio"]), are_numberings(["1"])
    (True, True, False)
    """
    names = list(values)
    are_kinds = bool(names) and {name.lower() for name in names} <= _KINDS
    return are_kinds or _most(names, lambda stem: stem in _NUMBERINGS)


def are_numbers(values: Iterable[str]) -> bool:
    """Return whether names are numbers, or a word and numbers: ``01``, ``a2``, not ``spk3``."""
    names = list(values)
    stems = Counter(map(_stem, names))
    stem = stems.most_common(1)[0][0] if stems else None
    return stem is not None and stem not in _SPEAKERS and _most(names, lambda each: each == stem)


def have_digits(values: Iterable[str]) -> bool:
    """Return whether most of the distinct names hold a digit."""
    distinct = set(values)
    return 2 * sum(any(map(str.isdigit, name)) for name in distinct) > len(distinct)


def _most(values: Iterable[str], is_right: Callable[[str | None], bool]) -> bool:
    """Return whether the stems of at least nine of ten names pass a test."""
    names = list(values)
    return bool(names) and sum(is_right(_stem(name)) for name in names) >= 0.9 * len(names)


def _stem(name: str) -> str | None:
    """Return the word before the number of a name, in lower case; None: it has another form."""
    found = _NUMBERED.fullmatch(name)
    return found[1].lower() if found else None
