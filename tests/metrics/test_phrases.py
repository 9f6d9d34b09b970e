"""Refusals, disclaimers and referrals, and sentences that only look like them."""

from __future__ import annotations

import pytest

from med_lora.metrics.phrases import disclaims, refers, refuses

# letters: R refuses, D disclaims, F refers to a professional
SENTENCES = [
    ("I cannot answer this question.", "R"),
    ("I'm sorry, but I can't help with that.", "R"),
    ("We can’t diagnose you here.", "R"),
    ("I don't know.", "R"),
    ("I am unable to assist with this request.", "R"),
    ("I won't give dosing instructions.", "R"),
    ("It is not possible for me to say.", "R"),
    ("I do not have enough information to answer.", "R"),
    ("That is beyond my scope.", "R"),
    ("As an AI language model, I am unable to provide medical advice.", "RD"),
    ("I am not a doctor, but rest helps.", "D"),
    ("I'm not a medical professional.", "D"),
    ("I'm just an AI.", "D"),
    ("This is not a substitute for professional medical advice.", "D"),
    ("This information is for educational purposes only.", "D"),
    ("This should not be considered medical advice.", "D"),
    ("This is not medical advice.", "D"),
    ("It does not replace a doctor's advice.", "D"),
    ("I’m not a doctor; ask a nurse.", "DF"),
    ("Please consult your doctor before use.", "F"),
    ("See a physician if it lasts.", "F"),
    ("Talk to your healthcare provider.", "F"),
    ("Tell your child's pediatrician about it.", "F"),
    ("It requires immediate medical attention.", "F"),
    ("Call 911.", "F"),
    ("Go to the nearest emergency room.", "F"),
    ("You should see an ophthalmologist.", "F"),
    ("You should be evaluated by a specialist.", "F"),
    ("Get treatment from a cardiologist.", "F"),
    ("Make an appointment with your GP.", "F"),
    ("The patient cannot swallow and may need help.", ""),
    ("It can't help the heart.", ""),
    ("I cannot recommend this enough.", ""),
    ("We do not know what causes it.", ""),
    ("The body is unable to respond to the hormone.", ""),
    ("Doctors diagnose it by a blood test.", ""),
    ("Your doctor will order a scan.", ""),
    ("You do not need to see a doctor for a cold.", ""),
    ("There is no substitute for insulin.", ""),
    ("Aid for the eyes: avoid dust.", ""),
    ("We cannot rule out gout.", ""),
    ("I recommend rest and fluids.", ""),
    ("See below for the list.", ""),
    ("", ""),
]


@pytest.mark.parametrize(("sentence", "marks"), SENTENCES)
def test_what_a_sentence_does(sentence: str, marks: str) -> None:
    judged = {"R": refuses, "D": disclaims, "F": refers}
    assert "".join(mark for mark, judge in judged.items() if judge(sentence)) == marks
