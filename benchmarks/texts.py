"""Preference pairs for the training rows: our own sentences, about as long as HH-RLHF's pairs."""

import random

QUESTIONS = [
    "How do I get a coffee stain out of a cotton shirt?",
    "My neighbour plays music late at night. What can I say without starting a fight?",
    "Which vegetables can I sow in early spring where it still freezes?",
    "I keep waking up at four in the morning. What might be the reason?",
    "What should I look at before I buy a used bicycle?",
    "Can you explain compound interest to a twelve-year-old?",
    "Our dog is afraid of thunder. How can we help her?",
    "I have an interview on Monday and feel unprepared. Where should I begin?",
]
SENTENCES = [
    "It depends on a few things, so let me go through them one at a time.",
    "Start with the simplest step, and only go further if that does not help.",
    "Most people do this in the wrong order and then wonder why it takes so long.",
    "Cold water first, then a little soap, and leave it to soak for half an hour.",
    "I would write down what happened for a week before changing anything at all.",
    "If it is new, or if it gets worse, ask someone who can look at it in person.",
    "You do not need special equipment; what is in the kitchen will do.",
    "A calm word in daylight works far better than a note under the door.",
    "Peas, broad beans and spinach put up with frost, and so do radishes under a cover.",
    "Check the frame for cracks near the welds, and turn each wheel to see if it runs true.",
    "The interest is added to the money, and next year the interest earns interest as well.",
    "Give her a quiet corner without windows, and stay near without making a fuss.",
    "Read the advertisement again and find an example from your own work for each line.",
    "It costs little to try, and the worst that can happen is that you lose an afternoon.",
    "No idea.",
    "Just buy a new one, that is what I would do.",
    "People worry about this far too much.",
    "There is no single right answer, but two of them are clearly better than the rest.",
    "Ask a friend to listen while you practise, because silence hides the weak spots.",
    "Coffee after lunch, light in the bedroom and worry are the three usual reasons.",
    "In short: be patient, keep notes, and change one thing at a time.",
    "You could also look it up, since others have asked the same question before.",
    "Keep the receipt in any case.",
    "That is how my grandmother did it, and it has never failed since.",
]


def pairs(count: int) -> list[dict[str, str]]:
    """Rows of prompt, chosen and rejected; the same ones every time, of uneven length."""
    draw = random.Random(0)

    def passage(low: int, high: int) -> str:
        return " ".join(draw.sample(SENTENCES, draw.randint(low, high)))

    return [
        {
            "prompt": f"{passage(0, 4)} {QUESTIONS[i % len(QUESTIONS)]}".strip(),
            "chosen": passage(2, 7),
            "rejected": passage(1, 6),
        }
        for i in range(count)
    ]
