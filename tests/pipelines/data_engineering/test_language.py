from __future__ import annotations

from pathlib import Path

import pytest

from med_lora.errors import InputError
from med_lora.pipelines.data_engineering.language import in_language
from tests.pipelines.data_engineering.conftest import Read

FOREIGN = {
    "de": [
        "Die Behandlung der Gicht besteht aus einer Diät und aus Medikamenten, welche die Harnsäure senken.",
        "Bitte nehmen Sie die Tabletten morgens mit Wasser ein und essen Sie danach eine halbe Stunde nichts.",
        "Wer lange sitzt, sollte jede Stunde aufstehen und ein paar Schritte gehen, damit das Blut nicht stockt.",
    ],
    "fr": [
        "Le traitement de la goutte repose sur un régime et sur des médicaments qui abaissent l'acide urique.",
        "Prenez le comprimé le matin avec un verre d'eau et ne mangez rien pendant une demi-heure.",
        "Les douleurs reviennent souvent la nuit et réveillent le malade, qui ne supporte plus le poids du drap.",
    ],
    "es": [
        "El tratamiento de la gota consiste sobre todo en una dieta y en medicamentos que bajan el ácido úrico.",
        "Tome la pastilla por la mañana con un vaso de agua y no coma nada durante media hora.",
        "Los niños con fiebre alta deben beber mucho y descansar hasta que la temperatura baje.",
    ],
    "pt": [
        "O tratamento da gota consiste sobretudo em uma dieta e em remédios que baixam o ácido úrico no sangue.",
        "Tome o comprimido pela manhã com um copo de água e não coma nada durante meia hora.",
        "As crianças com febre alta devem beber muita água e descansar até que a temperatura baixe.",
    ],
    "it": [
        "La cura della gotta consiste soprattutto in una dieta e in farmaci che abbassano l'acido urico nel sangue.",
        "Prenda la compressa al mattino con un bicchiere d'acqua e non mangi nulla per mezz'ora.",
        "I bambini con la febbre alta devono bere molto e riposare finché la temperatura non scende.",
    ],
    "nl": [
        "De behandeling van jicht bestaat vooral uit een dieet en uit medicijnen die het urinezuur verlagen.",
        "Neem de tablet 's ochtends in met een glas water en eet daarna een half uur niets.",
        "Kinderen met hoge koorts moeten veel drinken en rusten totdat de temperatuur weer daalt.",
    ],
    "sv": [
        "Behandlingen av gikt består framför allt av en diet och av läkemedel som sänker urinsyran i blodet.",
        "Ta tabletten på morgonen med ett glas vatten och ät ingenting under en halvtimme.",
        "Barn med hög feber ska dricka mycket och vila tills temperaturen går ner igen.",
    ],
    "zh": [
        "痛风的治疗主要包括饮食控制和降低尿酸的药物。",
        "请在早晨用一杯水服用药片，半小时内不要进食。",
        "发高烧的孩子应该多喝水，多休息，直到体温下降。",
    ],
}
ENGLISH = [
    "The treatment of gout is above all a diet, and drugs that lower the uric acid in the blood.",
    "Take the tablet in the morning with a glass of water, and eat nothing for half an hour.",
    "dx: htn, dm2, ckd3. rx: lisinopril 10 mg po qd, metformin 500 mg po bid, aspirin 81 mg po qd, f/u 2 wk",
    "amoxicillin, clarithromycin, omeprazole, metronidazole, tetracycline, bismuth, levofloxacin, rifabutin",
    "musculus biceps brachii, musculus triceps brachii, arteria brachialis, nervus medianus and nervus ulnaris",
    "i hav a bad hedache since 2 day and my throat is hurt, wat medicine shud i take plz help me doctor",
]


@pytest.mark.parametrize("language", FOREIGN)
def test_foreign_text_is_turned_down(language: str) -> None:
    assert in_language(FOREIGN[language], "en") == [False] * 3


@pytest.mark.parametrize("language", FOREIGN)
def test_each_language_can_be_the_accepted_one(language: str) -> None:
    assert in_language(FOREIGN[language], language) == [True] * 3


def test_plain_terse_and_misspelt_english_is_accepted() -> None:
    assert in_language(ENGLISH, "en") == [True] * len(ENGLISH)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "12.5 mg, 3 x 10^9/L",
        "Diabetes mellitus",
        "Morbus Basedow",
        "Ja, gerne.",
        "Acute Myeloid Leukemia in Adults " * 9,
    ],
)
def test_texts_of_few_words_are_not_judged(text: str) -> None:
    assert in_language([text], "en") == [True]


def test_an_unknown_language_is_named_in_one_sentence() -> None:
    with pytest.raises(InputError, match=r"^data_engineering.cleaning.language is 'xx', which py3langid cannot tell"):
        in_language([], "xx")


def test_fewer_than_one_in_a_thousand_real_answers_is_turned_down(real_corpora: Path, parsed: Read) -> None:
    answers = parsed(real_corpora, "wikidoc")["answer"].tolist()[:3000]
    assert in_language(answers, "en").count(False) <= 3
