"""Words by which names are recognised: emotions, speakers, and numberings that are no speakers."""

import re
from collections.abc import Iterable

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
_SPEAKERS = """
actor actress speaker spk spkr subject subj sub participant person patient user talker singer
proband vp sprecher sprecherin locuteur hablante
"""
_NUMBERINGS = """
clip take utt utterance sentence sent statement rep repetition session ses video vid scene part file
sample seg segment rec recording turn dia dialogue dialog trial chunk frame img image audio wav
track line day week month year block round run experiment
"""
_KINDS = """
audio audios video videos clip clips wav wavs mp4 flac sound sounds speech media files frames left
right front side
"""
_WORDS = frozenset(plain(word) for word in _EMOTIONS.split())
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
    """Return whether all names are a word for a speaker and a number: ``actor_01``, ``spk3``."""
    return _stems(values) <= {*_SPEAKERS.split()}


def are_numberings(values: Iterable[str]) -> bool:
    """Return whether names number takes, sessions and the like, or are kinds of files.

    >>> are_numberings(["take1", "take2"]), are_numberings(["audio"]), are_numberings(["1"])
    (True, True, False)
    """
    distinct = set(values)
    are_kinds = {name.lower() for name in distinct} <= {*_KINDS.split()}
    return are_kinds or _stems(distinct) <= {*_NUMBERINGS.split()}


def are_numbers(values: Iterable[str]) -> bool:
    """Return whether all names are numbers, or a word and numbers: ``01``, ``a2``, not ``spk3``."""
    stems = _stems(values)
    return len(stems) == 1 and not stems & {None, *_SPEAKERS.split()}


def have_digits(values: Iterable[str]) -> bool:
    """Return whether most of the distinct names hold a digit."""
    distinct = set(values)
    return 2 * sum(any(map(str.isdigit, name)) for name in distinct) > len(distinct)


def _stems(values: Iterable[str]) -> set[str | None]:
    """Return the words before the numbers, in lower case; None for a name of another form."""
    found = [_NUMBERED.fullmatch(name) for name in set(values)]
    return {each[1].lower() if each else None for each in found}
