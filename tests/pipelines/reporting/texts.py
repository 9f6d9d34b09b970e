"""Questions and answers of the made-up run."""

from __future__ import annotations

QUESTIONS = (
    "What is gout, and why does it hurt most at night?",
    "I am a 43-year-old woman with a dry cough that has lasted three weeks. What should I do?",
    "What are the treatments for iron-deficiency anaemia?",
    "How is asthma found in small children?",
)
REFERENCE = (
    "Gout is an arthritis caused by crystals of uric acid in a joint. The attacks often begin at night, when the joint "
    "is cool and at rest. Rest, cold packs and anti-inflammatory medicine ease the pain; a doctor can treat the cause."
)
TUNED = "Gout is a form of arthritis. The doctor may give medicine that lowers the uric acid, and advise rest."
BASE = "The first of these was the work of the people of the island, and it was not until the end of the war that"
